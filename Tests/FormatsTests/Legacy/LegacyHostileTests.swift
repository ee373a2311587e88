import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct LegacyHostileTests {
  typealias Make = LegacyBuilder

  /// Reads a file as the command does, every tensor's bytes included.
  private func read(_ bytes: [UInt8]) throws -> Value {
    let file = try ScratchFile("old.pt", bytes)
    let root = try Format.input(file.path).read(file.path, Format.ReadOptions()).checkpoint.root
    try touchAll(root)
    return root
  }

  private func refused(_ bytes: [UInt8], _ words: String, _ code: CheckpointError.Code = .damaged) {
    let error = #expect(throws: CheckpointError.self) { try read(bytes) }
    #expect(error?.message.contains(words) == true, "\(String(describing: error))")
    #expect(error?.code == code)
    #expect(error?.file != nil)
  }

  @Test func theBuilderMakesSoundFiles() throws {
    guard case .tensor(let tensor) = try read(Make.stream()) else { return #expect(Bool(false)) }
    #expect(tensor.shape == [4])
    let nested = Make.pickle(Make.load(Make.stream(object: Make.storage())))
    guard case .record(let record) = try read(nested), case .tensor(let inner) = record["tensor"] else {
      return #expect(Bool(false))
    }
    #expect((inner.dtype, inner.shape) == (.float32, [4]))
    #expect(try inner.elements(as: UInt32.self)[1] == 0x0706_0504)
    guard case .tensor(let old) = try read(tar()) else { return #expect(Bool(false)) }
    #expect(try (old.shape, old.elements(as: Int32.self)) == ([2], [1, 2]))
  }

  // MARK: - Damage

  static let whole = [
    "checkpoint.pt", "storage_views.pt", "tar_gnu.pt", "plain_protocol0.pkl", "plain_protocol4.pkl", "joblib.pkl",
  ]

  @Test(arguments: whole)
  func everyTruncationIsFound(_ name: String) throws {
    let file = OldFile(folder: "legacy", name: name)
    var whole = try fileBytes(file.path)
    // Without the padding at an archive's end, which may be missing.
    if name.hasPrefix("tar") { while whole.last == 0 { whole.removeLast() } }
    let scratch = try ScratchFile()
    for length in stride(from: 1, to: whole.count, by: max(whole.count / 120, 1)) {
      try scratch.write(Array(whole[..<length]))
      #expect(throws: CheckpointError.self, "cut to \(length)") {
        try Format.input(scratch.path).read(scratch.path, Format.ReadOptions())
      }
    }
  }

  @Test(arguments: whole + ["dtypes.pt", "views.pt", "variables.pt", "plain_protocol2.pkl"])
  func flippedBytesNeverCrash(_ name: String) throws {
    let whole = try fileBytes(OldFile(folder: "legacy", name: name).path)
    let format = try Format.input(OldFile(folder: "legacy", name: name).path)
    var random = SplitMix(state: 11)
    let scratch = try ScratchFile()
    for _ in 0..<150 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      try scratch.write(bytes)
      _ = try? touchAll(format.read(scratch.path, Format.ReadOptions()).checkpoint.root)
    }
  }

  // MARK: - Legacy streams

  @Test func lyingCountsOfStorages() {
    refused(Make.stream(counts: [5]), "storage 0 has 5 elements, but the object says 4")
    refused(Make.stream(counts: [.max]), "but the object says 4")
    refused(Make.stream(counts: [-4]), "but the object says 4")
    for count in ["I4611686018427387904", "I9223372036854775807"] {
      let object = Make.tensor(Make.storage(count: count))
      refused(Make.stream(object: object, counts: [Int64(count.dropFirst()) ?? 0]), "negative or too large")
    }
    let negative = Make.tensor(Make.storage(count: "I-1"))
    refused(Make.stream(object: negative, counts: [-1]), "negative or too large")
    let terabytes = Make.tensor(Make.storage(count: "I1000000000000"))
    refused(Make.stream(object: terabytes, counts: [1_000_000_000_000]), "bytes; 16 are left")
  }

  @Test func lyingKeys() {
    refused(Make.stream(keys: ["0", "0"], counts: [4, 4]), "0 twice")
    refused(Make.stream(keys: ["0", "../1"], counts: [4, 4]), "the object does not name")
    refused(Make.stream(keys: [], counts: []), "storage 0 is missing")
    let twoTypes = "(" + Make.tensor() + Make.tensor(Make.storage(type: "IntStorage")) + "t"
    refused(Make.stream(object: twoTypes), "float32 elsewhere")
    let twoCounts = "(" + Make.tensor() + Make.tensor(Make.storage(count: "I3")) + "t"
    refused(Make.stream(object: twoCounts), "has 16 bytes")
  }

  @Test func lyingViews() {
    for view in ["(S'9'\nI2\nI3\nt", "(S'9'\nI-1\nI2\nt", "(S'9'\nI1\nI9223372036854775807\nt", "(S'9'\nI5\nI0\nt"] {
      refused(Make.stream(object: Make.tensor(Make.storage(view: view), size: 1)), "a view of")
    }
    // Within the storage, but not within the view.
    let object = Make.tensor(Make.storage(view: "(S'9'\nI1\nI2\nt"), size: 3)
    refused(Make.stream(object: object), "the last element")
    refused(Make.stream(object: Make.tensor(offset: 2)), "the last element")
  }

  @Test func otherVersionsAndParts() {
    refused(Make.stream(version: "M\u{EA}\u{3}."), "version 1002", .unsupported)
    refused(Make.stream(version: "N."), "is no number")
    refused(Make.stream(system: "N."), "sys_info is no dict")
    refused(Make.stream(system: "cos\nsystem\n)R."), "runs code")
    refused(Make.stream(object: "(" + Make.tensor() + "cposix\nsystem\nt"), "runs code")
    refused(Make.stream(object: "](N" + Make.storage(type: "FloatTensor") + "e"), "unknown type", .unsupported)
  }

  /// A class that is given by a persistent id still makes no call.
  @Test func classesByPersistentIdAreHeldToTheSameRules() throws {
    let object = "(S'module'\nccommands\ngetoutput\nS'file'\nS'source'\ntQ(S'touch EXECUTED'\ntR"
    refused(Make.stream(object: object, keys: [], counts: []), "runs code")
    guard
      case .record(let record) = try read(
        Make.stream(object: "(S'module'\ncmine\nNet\nS'file'\nS'source'\ntQ)\u{81}", keys: [], counts: []))
    else {
      return #expect(Bool(false))
    }
    #expect(record["class"].text == "mine.Net")
  }

  // MARK: - Streams in pickles

  @Test func streamsInStreamsAreBounded() {
    var inner = Make.stream(object: "N", keys: [], counts: [])
    for _ in 0..<6 {
      let object = String(String.UnicodeScalarView(Make.load(inner).map { Unicode.Scalar($0) }))
      inner = Make.stream(object: object, keys: [], counts: [])
    }
    refused(Make.pickle(Make.load(inner)), "streams in streams")
    refused(Make.pickle(Make.load(Array("PK\u{3}\u{4}".utf8))), "")
    refused(Make.pickle(Make.bytes("ctorch.storage\n_load_from_bytes\n)R")), "without its bytes")
  }

  /// Containers in nested streams count with those around them.
  @Test func nestedStreamsShareTheDepth() {
    let lists = String(repeating: "]", count: 100) + "N" + String(repeating: "a", count: 100)
    let inner = Make.stream(object: lists, keys: [], counts: [])
    let outer = Make.bytes(String(repeating: "]", count: 100)) + Make.load(inner)
    refused(Make.pickle(outer + Make.bytes(String(repeating: "a", count: 100))), "deep")
  }

  /// The bytes of one stream, used by call after call.
  @Test func repeatedStreamsAreRefused() {
    let data = [UInt8](repeating: 1, count: 4 << 20)
    let stream = Make.stream(object: Make.storage(count: "I1048576"), counts: [1 << 20], data: data)
    var body = Make.bytes("ctorch.storage\n_load_from_bytes\nq\0B") + Make.little(UInt32(stream.count)) + stream
    body += Make.bytes("q\u{1}](")
    for _ in 0..<3000 { body += Make.bytes("h\0h\u{1}\u{85}R") }
    refused(Make.pickle(body + Make.bytes("e")), "over and over")
  }

  @Test func aTensorWhoseStorageIsSomethingElse() {
    let body =
      Make.bytes("ctorch._utils\n_rebuild_tensor\n(") + Make.load(Make.stream(object: "N", keys: [], counts: []))
    refused(Make.pickle(body + Make.bytes("K\0K\u{1}\u{85}K\u{1}\u{85}tR")), "no storage")
  }

  // MARK: - Tar archives

  private func tar(
    storages: [UInt8]? = nil, tensors: [UInt8]? = nil, pickle: String = "S'2'\nQ.", size: String? = nil,
    extra: [(String, [UInt8])] = []
  ) -> [UInt8] {
    let ints =
      Make.bytes("I1\n.(I1\nS'cpu'\nctorch\nIntStorage\nt.") + Make.little(Int64(2)) + [1, 0, 0, 0, 2, 0, 0, 0]
    return Make.tar(
      [
        ("sys_info", Make.bytes("}.")), ("pickle", Make.bytes(pickle)), ("tensors", tensors ?? tarTensor()),
        ("storages", storages ?? ints + Make.bytes("].")),
      ] + extra, size: size)
  }

  private func tarTensor(
    count: String = "I1\n.", storage: Int = 1, rank: Int32 = 1, size: Int64 = 2, stride: Int64 = 1, offset: Int64 = 0
  ) -> [UInt8] {
    Make.bytes("\(count)(I2\nI\(storage)\nctorch\nIntTensor\nt.") + Make.little(rank) + [0, 0, 0, 0] + Make.little(size)
      + Make.little(stride) + Make.little(offset)
  }

  @Test func lyingTarTensors() {
    refused(tar(tensors: tarTensor(size: 3)), "the last element")
    refused(tar(tensors: tarTensor(size: .max)), "")
    refused(tar(tensors: tarTensor(size: -1)), "negative")
    refused(tar(tensors: tarTensor(stride: .max)), "large")
    refused(tar(tensors: tarTensor(offset: -1)), "negative")
    refused(tar(tensors: tarTensor(rank: 65)), "at most 64")
    refused(tar(tensors: tarTensor(rank: -1)), "at most 64")
    refused(tar(tensors: tarTensor(storage: 7)), "not there")
    refused(tar(tensors: tarTensor(count: "I1000000000000\n.")), "cannot be")
    refused(tar(tensors: tarTensor(count: "I2\n.")), "")
    refused(tar(pickle: "S'3'\nQ."), "names no storage")
    refused(tar(pickle: "S'/etc/passwd'\nQ."), "names no storage")
  }

  @Test func lyingTarStorages() {
    let head = Make.bytes("I1\n.(I1\nS'cpu'\nctorch\nIntStorage\nt.")
    refused(tar(storages: head + Make.little(Int64.max)), "storage 1 of")
    refused(tar(storages: head + Make.little(Int64(-1))), "storage 1 of")
    refused(tar(storages: head + Make.little(Int64(1 << 40))), "are left")
    let sound = head + Make.little(Int64(2)) + [1, 0, 0, 0, 2, 0, 0, 0]
    refused(tar(storages: sound + Make.bytes("((I5\nI1\nI1\nI2\ntl.")), "a view of")
    refused(tar(storages: sound + Make.bytes("((I5\nI9\nI0\nI1\ntl.")), "is none")
    refused(tar(storages: sound + Make.bytes("((I1\nI1\nI0\nI1\ntl.")), "there twice")
  }

  @Test func lyingTarHeaders() {
    refused(tar(size: "77777777777"), "are left")
    refused(tar(extra: [("pickle", Make.bytes("N."))]), "there twice")
    refused(Make.tar([("sys_info", Make.bytes("}.")), ("pickle", Make.bytes("N."))]), "no member storages")
    var broken = tar()
    broken[1024] ^= 1
    refused(broken, "checksum")
  }

  // MARK: - joblib

  private func joblib(shape: String, dtype: String = "f4", rest: [UInt8] = []) -> [UInt8] {
    Make.pickle(
      Make.bytes(
        "cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\u{81}}(X\u{5}\0\0\0shape\(shape)"
          + "X\u{5}\0\0\0dtypecnumpy\ndtype\n(X\u{2}\0\0\0\(dtype)tRub") + rest)
  }

  @Test func lyingJoblibArrays() {
    refused(joblib(shape: "(I1000000000000\nt"), "are left")
    refused(joblib(shape: "(I9223372036854775807\nI8\nt"), "too large")
    refused(joblib(shape: "(I-1\nt"), "no proper size")
    refused(joblib(shape: "N"), "no tuple")
    refused(joblib(shape: "(I1\nt", dtype: "O8"), "Python objects", .unsupported)
  }

  // MARK: - Recognition

  @Test(arguments: [
    "N.B. this is text", "(see below)", "config = 1\nother = 2\n", "I am text\n", "Some text\nof lines\n", "{\"a\": 1}",
    "]", ".", "version: 1\n", "import os\nprint(1)\n", "name,value\n1,2\n", "0,1,2\n",
  ])
  func textIsNoPickle(_ text: String) throws {
    #expect(!Format.pickle.recognises(FileStart(bytes: Array(text.utf8))))
  }

  @Test func whatASuffixSaysIsNoMatter() throws {
    let bytes = try fileBytes(OldFile(folder: "legacy", name: "plain_protocol0.pkl").path)
    for name in ["model.h5", "model.safetensors", "model.tar"] {
      let file = try ScratchFile(name, bytes)
      #expect(try Format.input(file.path).id == "pickle")
    }
    let zip = try ScratchFile("model.tar", fileBytes(torchFixture("minimal")))
    #expect(try Format.input(zip.path).id == "torch-zip")
  }
}
