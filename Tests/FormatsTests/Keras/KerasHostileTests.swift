import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Files that would read others, or make much of little, are refused before any data is touched.
@Suite struct KerasHostileTests {
  static let files = [
    ("soft.weights.h5", "soft, to /layers/dense/vars/0"),
    ("external_link.weights.h5", "external, to /x in /etc/passwd"),
    ("legacy_soft.h5", "external, to /x in /etc/passwd"), ("external_data.weights.h5", "its data lies in 1 other file"),
    ("virtual.weights.h5", "a virtual dataset"), ("bomb.weights.h5", "more than deflate can make"),
    ("late.weights.h5", "it declares 4398046511104 bytes; 0 are stored"), ("filter.weights.h5", "its filter 32000 lzf"),
    ("loop.weights.h5", "another link to a group"), ("short.weights.h5", "truncated file"),
  ]

  @Test(arguments: files)
  func filesAreRefused(_ name: String, _ why: String) throws {
    let error = #expect(throws: CheckpointError.self) { try readKeras("hostile/\(name)") }
    #expect(error?.message.contains(why) == true, "\(error?.description ?? "")")
    #expect(error?.file?.hasSuffix(name) == true)
    let path = kerasFixture("hostile/\(name)")
    let report = try Format.input(path).verify(path)
    #expect(report.problems.count == 1 && report.problems[0].what.contains(why))
  }

  @Test func otherHDF5FilesAreNotKeras() throws {
    for name in ["set.h5", "plain.h5"] {
      let error = #expect(throws: CheckpointError.self) { try Format.input("\(fixtureFolder)/data/\(name)") }
      #expect(error?.code == .unsupported)
    }
  }

  /// Any byte of the file another one: an answer or an error, never a crash.
  @Test(arguments: ["keras1_weights.h5", "bfloat16.weights.h5", "text.keras"])
  func damageIsAnError(_ name: String) throws {
    let good = try fileBytes(kerasFixture(name))
    let folder = TemporaryFolder()
    let path = folder.file("damaged")
    var failed = 0
    for step in 0..<60 {
      var bytes = good
      let at = step * 263 % min(bytes.count, 16000)
      bytes[at] ^= 0xFF
      writeBytes(bytes, to: path)
      do {
        let format = try Format.input(path)
        let root = try format.read(path, Format.ReadOptions()).checkpoint.root
        try root.forEachTensor { (_, _, tensor) throws(CheckpointError) in _ = try tensor.digest() }
      } catch {
        failed += 1
      }
    }
    #expect(failed > 0)
  }

  @Test func aShardThatIsMissingIsNamed() throws {
    let folder = TemporaryFolder()
    for name in ["tiny.weights.json", "tiny_00000.weights.h5", "tiny_00002.weights.h5"] {
      writeBytes(try fileBytes(kerasFixture("shards/\(name)")), to: folder.file(name))
    }
    let error = #expect(throws: CheckpointError.self) {
      let path = folder.file("tiny.weights.json")
      _ = try Format.input(path).read(path, Format.ReadOptions())
    }
    #expect(error?.message.contains("tiny_00001.weights.h5") == true)
  }

  @Test(arguments: ["../x.weights.h5", "/etc/x.weights.h5"])
  func anIndexReachesForNoOtherFolder(_ name: String) throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.weights.json")
    writeBytes(Array("{\"weight_map\": {\"/layers/dense/vars\": \"\(name)\"}}".utf8), to: path)
    let error = #expect(throws: CheckpointError.self) { try Format.input(path).read(path, Format.ReadOptions()) }
    #expect(error?.code == .damaged && error?.message.contains("no name inside the folder") == true)
  }

  @Test func aGroupTooDeepIsRefused() throws {
    let path = try made { (root) throws(HDF5Error) in try nest(root, 70) }
    let error = #expect(throws: CheckpointError.self) { try KerasFile(path.path, form: .weights) }
    #expect(error?.message.contains("deeper than 64 levels") == true)
  }

  @Test func twoDatasetsOnTheSameBytesAreRefused() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.weights.h5")
    // Headers as h5py writes them have no checksums: one dataset is made to name the other's data.
    var bytes = try fileBytes(kerasFixture("small.weights.h5"))
    let paths = try readKeras("small.weights.h5").checkpoint.root.tensorsByPath
    let starts = ["optimizer.vars.2", "optimizer.vars.3"].compactMap { (paths[$0]?.source as? MappedRange)?.range }
      .map { withUnsafeBytes(of: UInt64($0.lowerBound).littleEndian) { Array($0) } }
    try #require(starts.count == 2)
    let places = (0..<(bytes.count - 8)).filter {
      bytes[$0] == starts[1][0] && Array(bytes[$0..<($0 + 8)]) == starts[1]
    }
    try #require(places.count == 1)
    bytes.replaceSubrange(places[0]..<(places[0] + 8), with: starts[0])
    writeBytes(bytes, to: path)
    let error = #expect(throws: CheckpointError.self) { try KerasFile(path, form: .weights) }
    #expect(error?.code == .damaged && error?.message.contains("overlap those of /optimizer/vars/") == true)
  }

  @Test func anAttributeThatIsRepeatedDoesNotFillTheMemory() throws {
    let text = String(repeating: "x", count: 5_000_000)
    let path = try made { (root) throws(HDF5Error) in
      for index in 0..<14 { try root.createGroup("g\(index)").writeVariableText("name", text) }
    }
    let error = #expect(throws: CheckpointError.self) { try KerasFile(path.path, form: .weights) }
    #expect(error?.message.contains("the attributes take more than") == true)
  }

  /// Weights that shrink two hundred times are no weights.
  @Test func anArchivesBombIsNotInflated() throws {
    let folder = TemporaryFolder()
    let path = folder.file("bomb.keras")
    let entry = ZipEntry(
      name: Keras.weights, method: .deflated, crc: 0, size: 1 << 30, header: 0, payload: 0..<(1 << 21))
    writeBytes([UInt8](repeating: 0, count: 1 << 21), to: path)
    let archive = ZipArchive(try MappedFile(path), folder: "", entries: [entry])
    let error = #expect(throws: CheckpointError.self) { try HDF5Content(entry, of: archive, verify: false) }
    #expect(error?.message.contains("claim to be 1073741824") == true)
  }

  private final class Made {
    let folder = TemporaryFolder()
    var path: String { folder.file("a.weights.h5") }
  }

  private func made(_ build: (borrowing Group) throws(HDF5Error) -> Void) throws -> Made {
    let made = Made()
    let file = try File.create(made.path)
    try build(try file.root())
    try file.close()
    return made
  }

  private func nest(_ group: borrowing Group, _ depth: Int) throws(HDF5Error) {
    guard depth > 0 else { return }
    try nest(try group.createGroup("g"), depth - 1)
  }
}
