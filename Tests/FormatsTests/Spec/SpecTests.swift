import Checkpoint
import Testing

@testable import CheckpointFormats

/// The text of `spec/` against the code: it is a promise, so nothing in it may go unproved.
@Suite struct SpecTests {
  private func text(_ path: String) throws -> String { String(decoding: try readBytes(path), as: UTF8.self) }

  /// The identifiers of all clauses: `**ABC-1**`.
  private func clauses() throws -> [String] {
    let spec = try ["ckpt-h5", "training-runs", "flat"].map { try text(fixture("../spec/\($0).md")) }.joined()
    return spec.matches(of: /\*\*([A-Z]+-[0-9]+)\*\*/).map { String($0.1) }
  }

  @Test func everyClauseIsNamedByATest() throws {
    let folders = [
      "FormatsTests/Native", "FormatsTests/Flat", "FormatsTests/Safetensors", "FormatsTests/Spec", "FormatsTests",
      "TrainingTests", "TrainCommandTests",
    ]
    let swift =
      try folders
      .flatMap { folder in
        try filesIn(fixture("../Tests/\(folder)")).filter { $0.hasSuffix(".swift") }.map {
          try text(fixture("../Tests/\(folder)/\($0)"))
        }
      }
    let python = try filesIn(fixture("../Tests/Peers")).filter { $0.hasSuffix(".py") }.map {
      try text(fixture("../Tests/Peers/\($0)"))
    }
    let tests = (swift + python).joined(separator: "\n")
    let named = Set(tests.matches(of: /[A-Z]+-[0-9]+/).map { String($0.0) })
    let clauses = try clauses()
    #expect(clauses.count > 60)
    #expect(clauses.filter { !named.contains($0) } == [])
  }

  @Test func noClauseIsThereTwice() throws {
    let clauses = try clauses()
    #expect(Set(clauses).count == clauses.count)
  }

  /// DIG-1 to DIG-4: the worked examples, from their bytes and from their values.
  @Test func theWorkedExamplesOfTheDigestAreRight() throws {
    let examples: [(String, Value)] = [
      ("`None`", .none), ("`{\"a\": 1}`", dict(("a", .int(1)))),
      ("`[True, 0.5]`", .sequence(.list, [.bool(true), .double(0.5)])),
      ("a float32 tensor `[1, 2]`", try tensor([1, 2], [2])),
    ]
    let lines = try text(fixture("../spec/ckpt-h5.md")).split(separator: "\n")
    for (name, value) in examples {
      let line = try unwrapped(lines.first { $0.hasPrefix("| \(name) |") })
      let cells = line.split(separator: "|").map { $0.split(separator: "`") }
      var bytes = Array("ckpt-content/1\0".utf8)
      bytes += try unwrapped([UInt8](hex: cells[1][1].filter { $0 != " " }.utf8))
      if case .tensor(let tensor) = value {
        let content = try unwrapped([UInt8](hex: cells[1][3].filter { $0 != " " }.utf8))
        let stored = try tensor.elements(as: Float.self).withUnsafeBytes { Array($0) }
        #expect(content == stored)
        bytes += content.withUnsafeBytes { XXH3.hash($0).bytes }
      }
      let fromBytes = bytes.withUnsafeBytes { XXH3.hash($0).hex }
      #expect(fromBytes == String(cells[2][1]), "\(name)")
      #expect(try ContentDigest.compute(value).hex == fromBytes, "\(name)")
    }
  }
}
