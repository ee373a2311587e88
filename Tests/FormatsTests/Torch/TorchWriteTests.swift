import Checkpoint
import CheckpointFormats
import Testing

@Suite struct TorchWriteTests {
  /// Whatever weights_only=True can hold comes back as it was.
  @Test(
    arguments: namesIn("\(fixtureFolder)/torch").filter {
      $0.hasSuffix(".pt") && !$0.hasPrefix("objects") && !$0.hasPrefix("protocol")
    })
  func whatIsWrittenIsReadBackEqual(_ file: String) throws {
    let tree = try TorchZip.read("\(fixtureFolder)/torch/\(file)").root
    let copy = try ScratchFile(file)
    let warnings = try TorchZip.write(tree, to: copy.path)
    let again = try TorchZip.read(copy.path)
    #expect(try TorchDump.lines(again.root) == TorchDump.lines(tree))
    #expect(try ContentDigest.compute(again.root) == ContentDigest.compute(tree))
    #expect(warnings.isEmpty)
    #expect(try TorchZip.verify(copy.path).problems.isEmpty)
  }

  @Test func whatTorchRefusesIsWrittenPlainlyWithAWarning() throws {
    let tree = try readFixture("objects").root
    let copy = try ScratchFile("objects.pt")
    let warnings = try TorchZip.write(tree, to: copy.path)
    let again = try TorchZip.read(copy.path)
    #expect(again.warnings.isEmpty)
    guard case .dict(let root) = again.root else { return #expect(Bool(false)) }
    #expect(root["path"].text == "runs/a/last.pt")
    #expect(root["absolute_path"].text == "/data/train.bin")
    #expect(root["datetime"].text == "2024-02-29 13:14:15.000678")
    #expect(root["date"].text == "2024-02-29")
    #expect(root["timedelta"].text == "1 day, 0:00:02.000003")
    #expect(root["decimal"].text == "1.50")
    #expect(root["enum"].text == "green")
    #expect(root["namespace"].dict?["layers"] != nil)
    #expect(root["defaultdict"].dict?.kind == .plain)
    guard case .sequence(.set, _) = root["frozenset"] else { return #expect(Bool(false)) }
    guard case .sequence(.tuple, let point) = root["namedtuple"] else { return #expect(Bool(false)) }
    #expect(point.count == 2)
    guard case .tensor = root["numpy_arrays"].dict?["fortran"] else { return #expect(Bool(false)) }
    #expect(
      warnings.contains {
        $0.hasPrefix("namespace.nested: an object of class argparse.Namespace was written as a dict")
      })
    #expect(warnings.contains { $0.hasPrefix("frozenset: ") })
  }

  @Test func equalTreesGiveEqualBytes() throws {
    let tree = try readFixture("gan").root
    let file = try ScratchFile("same.pt")
    try TorchZip.write(tree, to: file.path)
    let first = try fileBytes(file.path)
    try TorchZip.write(tree, to: file.path, options: .init(replaces: true))
    #expect(try fileBytes(file.path) == first)
  }

  @Test func aTiedTensorIsOneRecord() throws {
    let weights = BufferSource(elements: [1, 2, 3, 4] as [Float])
    let tensor = Value.tensor(try Tensor(dtype: .float32, shape: [2, 2], source: weights))
    let file = try ScratchFile("tied.pt")
    try TorchZip.write(
      .dict(Dict([Dict.Entry(.string("a"), tensor), Dict.Entry(.string("b"), tensor)])), to: file.path)
    let text = String(decoding: try fileBytes(file.path), as: UTF8.self)
    #expect(text.contains("data/0"))
    #expect(!text.contains("data/1"))
    guard case .dict(let root) = try TorchZip.read(file.path).root, case .tensor(let a) = root["a"],
      case .tensor(let b) = root["b"]
    else { return #expect(Bool(false)) }
    #expect(a.isTied(to: b))
  }

  @Test func payloadsAreAlignedTo64Bytes() throws {
    let file = try ScratchFile("aligned.pt")
    let source = BufferSource(Array(repeating: 0xAB, count: 7))
    let tensor = Value.tensor(try Tensor(dtype: .uint8, shape: [7], source: source))
    try TorchZip.write(.sequence(.list, [tensor]), to: file.path)
    let bytes = try fileBytes(file.path)
    #expect(bytes.firstIndex(of: 0xAB).map { $0 % 64 } == 0)
  }

  @Test func packedTypesThatTorchLacksAreWrittenAsBytes() throws {
    let source = BufferSource([0x21, 0x43, 0x65])
    let tensor = Value.tensor(try Tensor(dtype: .float4_e2m1fn, shape: [1, 6], source: source))
    let file = try ScratchFile("packed.pt")
    let warnings = try TorchZip.write(tensor, to: file.path)
    #expect(warnings.count == 1)
    guard case .tensor(let back) = try TorchZip.read(file.path).root else { return #expect(Bool(false)) }
    #expect(back.dtype == .float4_e2m1fn_x2)
    #expect(back.shape == [1, 3])
  }

  @Test func aStepThatFloat32CannotCountIsWarnedOf() throws {
    let step = Value.tensor(
      try Tensor(dtype: .float32, shape: [], source: BufferSource(elements: [16_777_216 as Float])))
    let file = try ScratchFile("step.pt")
    let warnings = try TorchZip.write(.dict(Dict([Dict.Entry(.string("step"), step)])), to: file.path)
    #expect(warnings.count == 1)
  }

  @Test func anExistingFileIsKept() throws {
    let file = try ScratchFile("kept.pt", [1, 2, 3])
    let error = #expect(throws: CheckpointError.self) { try TorchZip.write(.none, to: file.path) }
    #expect(error?.code == .cannotCreate)
    #expect(try fileBytes(file.path) == [1, 2, 3])
  }

  @Test func aDamagedSourceLeavesNoFile() throws {
    var bytes = try fileBytes(torchFixture("state_dict"))
    guard case .dict(let root) = try readFixture("state_dict").root, case .tensor(let tensor) = root.entries[0].value
    else {
      return #expect(Bool(false))
    }
    var content: [UInt8] = []
    try tensor.source.withBytes { content = Array($0) }
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: content) })
    bytes[place] ^= 1
    let source = try ScratchFile("damaged.pt", bytes)
    let target = try ScratchFile("target.pt")
    let tree = try TorchZip.read(source.path).root
    #expect(throws: CheckpointError.self) { try TorchZip.write(tree, to: target.path) }
    #expect(throws: CheckpointError.self) { try fileBytes(target.path) }
  }

  @Test func tenThousandTensorsComeBack() throws {
    let source = BufferSource(elements: [1, 2, 3, 4] as [Float])
    var entries: [Dict.Entry] = []
    for index in 0..<10_000 {
      let own = index % 2 == 0 ? source : BufferSource(elements: [Float(index)] + [0, 0, 0])
      entries.append(
        Dict.Entry(.string("layer.\(index).weight"), .tensor(try Tensor(dtype: .float32, shape: [4], source: own))))
    }
    let file = try ScratchFile("many.pt")
    try TorchZip.write(.dict(Dict(entries, kind: .ordered)), to: file.path)
    guard case .dict(let root) = try TorchZip.read(file.path).root else { return #expect(Bool(false)) }
    #expect(root.count == 10_000)
    guard case .tensor(let last) = root.entries.last?.value else { return #expect(Bool(false)) }
    #expect(try last.elements(as: Float.self) == [9999, 0, 0, 0])
  }
}
