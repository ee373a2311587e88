import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

private func fixture(_ name: String) -> String { "\(fixtureFolder)/onnx/\(name)" }

@Suite struct ONNXHostileTests {
  private static let cases = ExpectedArray.lines("../onnx/hostile/hostile.tsv")

  @Test(arguments: cases.map { $0[0] })
  func isRefusedInPlainWords(_ file: String) throws {
    let words = try #require(Self.cases.first { $0[0] == file }?[1])
    let path = fixture("hostile/\(file)")
    let error = #expect(throws: CheckpointError.self) { try touchAll(ONNXFile.read(path).model.root) }
    #expect(error?.file != nil)
    #expect(error?.code == .damaged || error?.code == .unsupported)
    #expect(error?.description.contains(words) == true, "\(String(describing: error)) lacks '\(words)'")
    let problems = try ONNXFile.verify(path).problems
    #expect(problems.count == 1 && problems[0].what.contains(words), "\(problems)")
  }

  @Test func theyAreAllThere() { #expect(Self.cases.count >= 55) }

  @Test func aPipeIsNotWaitedFor() throws {
    let folder = TemporaryFolder()
    writeBytes(try fileBytes(fixture("hostile/external_missing.onnx")), to: folder.file("m.onnx"))
    #expect(mkfifo(folder.file("none.bin"), 0o600) == 0)
    let error = #expect(throws: CheckpointError.self) { try ONNXFile.read(folder.file("m.onnx")) }
    #expect(error?.message.contains("no regular file") == true)
  }

  @Test(arguments: ["types.onnx", "nested.onnx", "parts.onnx"])
  func everyTruncationIsFound(_ name: String) throws {
    let whole = try fileBytes(fixture(name))
    let folder = TemporaryFolder()
    #expect(symlink(fixture("parts"), folder.file("parts")) == 0)
    for length in stride(from: 1, to: whole.count, by: max(1, whole.count / 1500)) {
      writeBytes(Array(whole[..<length]), to: folder.file("cut.onnx"))
      // A message is whole where a field ends, so what is left may be a model.
      guard (try? ONNXFile.read(folder.file("cut.onnx")).model) != nil else { continue }
      #expect(length >= whole.count - 200, "\(length) of \(whole.count)")
    }
  }

  @Test(arguments: ["types.onnx", "nested.onnx", "odd.onnx", "external.onnx"])
  func flippedBytesNeverCrash(_ name: String) throws {
    let whole = try fileBytes(fixture(name))
    let folder = TemporaryFolder()
    var random = SplitMix(state: 13)
    for _ in 0..<600 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      writeBytes(bytes, to: folder.file("flip.onnx"))
      _ = try? touchAll(ONNXFile.read(folder.file("flip.onnx")).model.root)
    }
  }

  @Test func aGraphBeyondTheBeginningIsRecognised() throws {
    for length in [24, 40, 100, 1000] {
      #expect(ONNXFile.recognises(FileStart(bytes: Array(try fileBytes(fixture("types.onnx")).prefix(length)))))
    }
  }

  @Test func whatIsNoModelIsNotTakenForOne() throws {
    let others = [
      "torch/state_dict.pt", "legacy/checkpoint.pt", "data/types.npz", "data/types.safetensors", "README.md",
    ]
    for name in others { #expect(try !ONNXFile.recognises(FileStart("\(fixtureFolder)/\(name)")), "\(name)") }
    #expect(!ONNXFile.recognises(FileStart(bytes: [8, 7] + [UInt8](repeating: 0xFF, count: 40))))
    #expect(!ONNXFile.recognises(FileStart(bytes: [8, 7, 0x12, 0x7F] + [UInt8](repeating: 0x20, count: 40))))
  }
}
