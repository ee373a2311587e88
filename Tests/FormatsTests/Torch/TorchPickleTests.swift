import Checkpoint
import CheckpointFormats
import Testing

/// Pickles of every protocol, by hand. The tree is what Python would have, and nothing is called.
@Suite struct TorchPickleTests {
  private func read(_ pickle: [UInt8]) throws -> [String] {
    let file = try ScratchFile("pickle.pt", TorchArchiveBuilder.archive(pickle: pickle))
    return try TorchDump.lines(TorchZip.read(file.path).root)
  }

  private func read(_ text: String) throws -> [String] { try read(Array(text.utf8)) }

  @Test func textNumbersOfProtocol0() throws {
    #expect(
      try read("(lp0\nI01\naI00\naI-7\naL12345678901234567890L\naF-0.5\naFinf\naNa.") == [
        "/ list 7", "/0 bool True", "/1 bool False", "/2 int -7", "/3 int 12345678901234567890",
        "/4 double bfe0000000000000", "/5 double 7ff0000000000000", "/6 none",
      ])
  }

  @Test func textStringsOfProtocol0() throws {
    let lines = try read("(S'it\\'s\\n\\x41\\101'\nV\\u00e9\\ud800\nS\"\\xff\"\nt.")
    let expected = [Array("it's\nAA".utf8), [0xC3, 0xA9, 0xED, 0xA0, 0x80], [0xC3, 0xBF]].map {
      "#" + hex(crc32($0), 8)
    }
    #expect(lines == ["/ tuple 3"] + expected.enumerated().map { "/\($0.offset) string \($0.element)" })
  }

  @Test func memoDupPopAndMarks() throws {
    #expect(try read("(dp0\nS'a'\np1\nI1\nsg1\n0(I1\nI2\n1.") == ["/ dict plain 1", "/a int 1"])
    // A list gets 5 twice: DUP, POP, DUP leave two.
    let twice = Array("](K".utf8) + [5] + Array("202e.".utf8)
    #expect(try read(twice) == ["/ list 2", "/0 int 5", "/1 int 5"])
  }

  @Test func longsOfAllLengths() throws {
    #expect(
      try read(
        [0x80, 2, 0x28, 0x8A, 0, 0x8A, 1, 0xFF, 0x8A, 8] + Array(repeating: 0xFF, count: 7) + [0x7F]
          + [0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0x80, 0] + [0x8B, 2, 0, 0, 0, 0, 1, 0x74, 0x2E]) == [
          "/ tuple 5", "/0 int 0", "/1 int -1", "/2 int 9223372036854775807", "/3 int 9223372036854775808",
          "/4 int 256",
        ])
  }

  @Test func setsBytesAndFramesOfProtocol4And5() throws {
    let pickle: [UInt8] =
      [
        0x80, 5, 0x95, 3, 0, 0, 0, 0, 0, 0, 0, 0x28, 0x8F, 0x94, 0x28, 0x4B, 1, 0x4B, 2, 0x90, 0x28, 0x4B, 3, 0x91,
        0x43, 1, 9,
      ]
      + [0x96, 2, 0, 0, 0, 0, 0, 0, 0, 7, 7, 0x74, 0x2E]
    #expect(
      try read(pickle).filter { !$0.contains(" int ") } == [
        "/ tuple 4", "/0 set 2", "/1 frozenset 1", "/2 bytes 1 " + hex(crc32([9]), 8),
        "/3 bytearray 2 " + hex(crc32([7, 7]), 8),
      ])
  }

  @Test func anUnknownClassIsKeptWhole() throws {
    let file = try ScratchFile(
      "object.pt",
      TorchArchiveBuilder.archive(
        pickle: Array("cmy.module\nThing\n)".utf8) + [0x81] + Array("}S'a'\nI1\nsb.".utf8)))
    let checkpoint = try TorchZip.read(file.path)
    guard case .record(let record) = checkpoint.root else { return #expect(Bool(false)) }
    #expect(record.type == "python.object")
    #expect(record["class"].text == "my.module.Thing")
    #expect(record["state"].dict?.count == 1)
    #expect(checkpoint.warnings.count == 1)
  }

  @Test func copyregObjectsOfProtocol0() throws {
    let file = try ScratchFile(
      "object.pt",
      TorchArchiveBuilder.archive(
        pickle: Array("ccopy_reg\n_reconstructor\n(cmy.module\nThing\nc__builtin__\nobject\nNtR(dS'a'\nI1\nsb.".utf8)))
    guard case .record(let record) = try TorchZip.read(file.path).root else { return #expect(Bool(false)) }
    #expect(record["class"].text == "my.module.Thing")
    #expect(record["state"].dict?["a"] != nil)
  }
}
