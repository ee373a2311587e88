import Checkpoint
import CheckpointFormats
import Testing

@Suite struct TorchReadTests {
  /// Values, keys, dtypes, shapes, strides (through the bytes), kinds, ties: all as real torch has them.
  @Test(arguments: namesIn("\(fixtureFolder)/expected"))
  func findsWhatTorchFinds(_ expectation: String) throws {
    let name = String(expectation.dropLast(4))
    let expected = try String(decoding: fileBytes("\(fixtureFolder)/expected/\(expectation)"), as: UTF8.self)
    let lines = try TorchDump.lines(readFixture(name).root)
    let wanted = expected.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    for (found, wanted) in zip(lines, wanted) { #expect(found == wanted) }
    #expect(lines.count == wanted.count)
  }

  @Test(arguments: namesIn("\(fixtureFolder)/torch").filter { $0.hasSuffix(".pt") })
  func readsAndVerifies(_ file: String) throws {
    let path = "\(fixtureFolder)/torch/\(file)"
    try touchAll(TorchZip.read(path).root)
    let verification = try TorchZip.verify(path)
    #expect(verification.problems.isEmpty)
    #expect(verification.checked.count >= 2)
  }

  @Test func objectsBecomeRecordsWithAWarningEach() throws {
    let checkpoint = try readFixture("objects")
    guard case .dict(let root) = checkpoint.root else { return #expect(Bool(false)) }
    #expect(root["namespace"].record?.type == "python.object")
    #expect(root["namespace"].record?["class"].text == "argparse.Namespace")
    #expect(root["path"].record?.type == "python.reduce")
    #expect(root["defaultdict"].dict?.kind == .defaultDict(factory: "builtins.int"))
    #expect(root["huge_int"].isBigInt)
    guard case .sequence(.frozenset, let items) = root["frozenset"] else { return #expect(Bool(false)) }
    #expect(items.count == 2)
    #expect(checkpoint.warnings.filter { $0.contains("argparse.Namespace") }.count == 1)
    #expect(root["after"].text == "still here")
  }

  @Test func numPyArraysAndScalarsKeepTypeAndContent() throws {
    guard case .dict(let root) = try readFixture("objects").root, let arrays = root["numpy_arrays"].dict else {
      return #expect(Bool(false))
    }
    guard case .tensor(let big) = arrays["big_endian"].record?["array"] else { return #expect(Bool(false)) }
    #expect(arrays["big_endian"].record?["dtype"].text == ">i4")
    #expect(try big.elements(as: Int32.self) == [0, 1, 2, 3])
    guard case .tensor(let fortran) = arrays["fortran"].record?["array"] else { return #expect(Bool(false)) }
    #expect(fortran.shape == [2, 3])
    #expect(try fortran.elements(as: Int32.self) == [0, 1, 2, 3, 4, 5])
    guard case .sequence(_, let scalars) = root["numpy_scalars"] else { return #expect(Bool(false)) }
    #expect(
      scalars.compactMap { Optional($0).record?["dtype"].text } == ["<f8", "<f4", "<f2", "<i8", "|u1", "|b1", "<f8"])
    guard case .double(0.5) = Optional(scalars[2]).record?["value"] else { return #expect(Bool(false)) }
    guard case .int(-3) = Optional(scalars[3]).record?["value"] else { return #expect(Bool(false)) }
  }

  @Test func protocolsGiveOneTree() throws {
    let trees = try ["protocol1", "protocol3", "protocol4", "protocol5"].map {
      try TorchDump.lines(readFixture($0).root)
    }
    for tree in trees.dropFirst() { #expect(tree == trees[0]) }
  }

  @Test func aContiguousStorageIsTheMappedFileItself() throws {
    guard case .dict(let root) = try readFixture("state_dict").root, case .tensor(let tensor) = root.entries[0].value
    else {
      return #expect(Bool(false))
    }
    var first: UnsafeRawPointer?
    var second: UnsafeRawPointer?
    try tensor.source.withBytes { first = $0.baseAddress }
    try tensor.source.forEachPiece(limit: 1 << 30) { second = $0.baseAddress }
    #expect(first == second)
  }

  @Test func recognisesByTheFirstFourBytes() {
    #expect(TorchZip.recognises([0x50, 0x4B, 3, 4, 0]))
    #expect(!TorchZip.recognises([0x50, 0x4B, 5, 6]))
    #expect(!TorchZip.recognises([0x50]))
  }

  @Test func aMissingFileIsMissing() throws {
    let error = #expect(throws: CheckpointError.self) { try TorchZip.read("/nonexistent.pt") }
    #expect(error?.code == .missing)
  }
}

extension Value? {
  var record: Record? { if case .record(let record) = self { record } else { nil } }
  var dict: Dict? { if case .dict(let dict) = self { dict } else { nil } }
  var text: String? { if case .string(let text) = self { text } else { nil } }
  var isBigInt: Bool { if case .bigInt = self { true } else { false } }
}
