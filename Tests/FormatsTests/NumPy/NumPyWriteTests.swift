import Checkpoint
import Testing

@testable import CheckpointFormats

private func fixture(_ name: String) -> String { "\(fixtureFolder)/numpy/\(name)" }

@Suite struct NumPyWriteTests {
  private let folder = TemporaryFolder()

  @discardableResult
  private func write(
    _ root: Value, _ name: String, _ change: (inout Format.WriteOptions) -> Void = { _ in }
  ) throws -> Format.Written {
    var options = Format.WriteOptions()
    change(&options)
    let format = try Format.output(name)
    let writer = try #require(format.write)
    return try writer(root, folder.file(name), options)
  }

  private func contents(_ name: String) throws -> Dict {
    guard case .dict(let dict) = try NumPyFile.read(folder.file(name)).root else { return Dict() }
    return dict
  }

  @Test(arguments: (0...5).map { "saved\($0).npy" } + ["bfloat16.npy"])
  func arraysAreNumPysByteForByte(_ name: String) throws {
    #expect(try write(try NumPyFile.read(fixture(name)).root, "out.npy").warnings.isEmpty)
    #expect(try readBytes(folder.file("out.npy")) == fileBytes(fixture(name)))
  }

  @Test func headersAreNumPysByteForByte() {
    let lines = ExpectedArray.lines("../numpy/headers.tsv")
    #expect(lines.count == 99)
    for line in lines {
      let header = NumPyHeader.bytes(descr: "'<f4'", shape: line[0].split(separator: ",").compactMap { Int($0) })
      #expect(header.map { hex($0, 2) }.joined() == line[1], "\(line[0])")
    }
  }

  @Test(arguments: ["../numpy/carried.npz", "types.npz", "others.npz"])
  func archivesComeBack(_ name: String) throws {
    let source = try NumPyFile.read("\(fixtureFolder)/data/\(name)").root
    #expect(try write(source, "out.npz").warnings.isEmpty)
    let root = try NumPyFile.read(folder.file("out.npz")).root
    #expect(try ContentDigest.compute(root) == ContentDigest.compute(source))
    let names = try ZipArchive(MappedFile(folder.file("out.npz")), naming: .any).entries.map(\.name)
    #expect(!names.contains("\(FlatCheckpoint.key).npy"))
    #expect(try NumPyFile.verify(folder.file("out.npz")).isSound)
  }

  /// FLT-4.
  @Test(arguments: [
    "transformer_adamw", "state_dict", "objects", "odd_names", "quantised", "sparse", "views", "dtypes", "surrogates",
    "parameters", "optimizer_others",
  ])
  func aWholeCheckpointComesBack(_ name: String) throws {
    let source = try readFixture(name).root
    try write(source, "a.npz")
    let checkpoint = try NumPyFile.read(folder.file("a.npz"))
    #expect(checkpoint.warnings.isEmpty)
    let digest = try ContentDigest.compute(source)
    #expect(try ContentDigest.compute(checkpoint.root) == digest)
    #expect(checkpoint.recordedDigest == "\(digest)")
    let report = try NumPyFile.verify(folder.file("a.npz"))
    #expect(report.isSound)
    #expect(report.checked.contains("content digest \(digest)"))
  }

  @Test func equalTreesGiveEqualBytes() throws {
    let source = try readFixture("transformer_adamw").root
    try write(source, "a.npz")
    try write(source, "b.npz")
    #expect(try readBytes(folder.file("a.npz")) == readBytes(folder.file("b.npz")))
  }

  @Test func dataCanBeMapped() throws {
    try write(try readFixture("transformer_adamw").root, "a.npz")
    let zip = try ZipArchive(MappedFile(folder.file("a.npz")), naming: .any)
    #expect(zip.entries.count > 10)
    for entry in zip.entries {
      #expect(entry.payload.lowerBound % 64 == 0)
      #expect(entry.method == .stored)
      #expect(try NumPyHeader.length(zip.start(of: entry, count: 512)) % 64 == 0)
    }
  }

  /// FLT-9.
  @Test func tiedTensorsAreThereUnderEachName() throws {
    let tensor = try Tensor(dtype: .float32, shape: [2], source: BufferSource(elements: [Float(1), 2]))
    let root = Value.dict(Dict([.init(.string("a"), .tensor(tensor)), .init(.string("b"), .tensor(tensor))]))
    try write(root, "tied.npz")
    guard case .dict(let dict) = try NumPyFile.read(folder.file("tied.npz")).root,
      case .tensor(let a)? = dict["a"], case .tensor(let b)? = dict["b"]
    else { return #expect(Bool(false)) }
    #expect(a.isTied(to: b))
    try write(root, "loose.npz") { $0.weightsAlone = true }
    let names = try ZipArchive(MappedFile(folder.file("loose.npz")), naming: .any).entries.map(\.name)
    #expect(names == ["a.npy", "b.npy"])
  }

  /// FLT-8.
  @Test func typesBelowAByteAreBytesAndComeBack() throws {
    let bits = try Tensor(dtype: .uint4, shape: [3], source: BufferSource([0x21, 0x03]))
    let root = Value.dict(Dict([.init(.string("w"), .tensor(bits))]))
    #expect(try write(root, "w.npz").warnings.first?.contains("told in 'ckpt.training': w") == true)
    guard case .tensor(let tensor)? = try contents("w.npz")["w"] else { return #expect(Bool(false)) }
    #expect(tensor.dtype == .uint4 && tensor.shape == [3])
    #expect(try write(root, "w.npy").warnings.count == 2)
    guard case .tensor(let array) = try NumPyFile.read(folder.file("w.npy")).root else { return #expect(Bool(false)) }
    #expect(array.dtype == .uint8 && array.shape == [2])
  }

  /// FLT-10.
  @Test func whatAnotherProgramAddedIsNotHidden() throws {
    let source = try readFixture("state_dict").root
    let flat = try FlatCheckpoint(source, keepsTies: true) { _ throws(CheckpointError) in nil }
    var layout = ZipLayout()
    let rest = NumPyArraySource(text: try flat.rest())
    let more = try NumPyArraySource(flat.items[0].tensor)
    try layout.add("more.npy", size: more.byteCount)
    try layout.add("ckpt.training.npy", size: rest.byteCount)
    var writer = try ZipWriter(layout, to: folder.file("more.npz"), replaces: false)
    try writer.write([more, rest])
    try writer.finish()
    let checkpoint = try NumPyFile.read(folder.file("more.npz"))
    #expect(checkpoint.warnings.count == 1)
    #expect(try contents("more.npz").entries.map(\.key) == [.string("more")])
    #expect(try NumPyFile.verify(folder.file("more.npz")).problems.first?.place == "ckpt.training")
  }

  @Test func anArrayHoldsOneTensor() throws {
    let error = #expect(throws: CheckpointError.self) { try write(try readFixture("state_dict").root, "a.npy") }
    #expect(error?.code == .usage)
    #expect(error?.description.contains("--include") == true)
    let empty = #expect(throws: CheckpointError.self) { try write(.dict(Dict()), "a.npy") }
    #expect(empty?.message.contains("has 0 tensors") == true)
    #expect(filesIn(folder.path).isEmpty)
    let tensor = try Tensor(dtype: .float32, shape: [], source: BufferSource(elements: [Float(1)]))
    let root = Value.dict(Dict([.init(.string("w"), .tensor(tensor)), .init(.string("step"), .int(3))]))
    #expect(try write(root, "w.npy").warnings == ["all but the tensor 'w' is left out"])
  }

  @Test func namesThatNoArchiveHasAreWrittenAsOthers() throws {
    let names = ["a\0b", "a_b", "a\0b.c", String(repeating: "n", count: 70_000)]
    var entries: [Dict.Entry] = []
    for (number, name) in names.enumerated() {
      let tensor = try Tensor(dtype: .uint8, shape: [1], source: BufferSource([UInt8(number)]))
      entries.append(Dict.Entry(.string(name), .tensor(tensor)))
    }
    let root = Value.dict(Dict(entries))
    try write(root, "a.npz")
    #expect(try ContentDigest.compute(NumPyFile.read(folder.file("a.npz")).root) == ContentDigest.compute(root))
    let records = try ZipArchive(MappedFile(folder.file("a.npz")), naming: .any).entries.map(\.name)
    #expect(records.prefix(3) == ["a_b.npy", "a_b~2.npy", "a_b.c.npy"])
    #expect(records.allSatisfy { $0.utf8.count < 65_535 })
    var layout = ZipLayout()
    #expect(throws: CheckpointError.self) { try layout.add("a\0b", size: 1) }
    #expect(throws: CheckpointError.self) { try layout.add(names[3], size: 1) }
  }

  /// Numbers above 4 GiB, of a file that nobody writes here.
  @Test func largeArchivesSaySoIn64Bits() throws {
    var layout = ZipLayout()
    try layout.add("a.npy", size: 5 << 30)
    try layout.add("b.npy", size: 10)
    let local = layout.localHeader(layout.records[0], crc: 7)
    #expect(local.count == layout.records[0].payload)
    #expect(Array(local[18..<26]) == Array(repeating: 0xFF, count: 8))
    #expect(local.count % 64 == 0)
    let directory = layout.directory(crcs: [7, 8])
    let wideEnd: [UInt8] = [0x50, 0x4B, 6, 6]
    #expect(directory.indices.contains { directory[$0...].starts(with: wideEnd) })
    var small = ZipLayout()
    try small.add("a.npy", size: 10)
    let plain = small.directory(crcs: [7])
    #expect(!plain.indices.contains { plain[$0...].starts(with: wideEnd) })
  }
}
