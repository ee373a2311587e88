import Checkpoint
import Testing

@testable import CheckpointFormats

/// Files that a version of the format wrote are read by every later one. VER-1.
///
/// `fixtures/golden/<version>/` holds them, and `digests.txt` what was in them when they were written.
@Suite struct GoldenTests {
  static let versions = ["1.0"]

  private func digests(_ version: String) throws -> [(name: String, digest: String)] {
    let text = String(decoding: try readBytes(fixture("golden/\(version)/digests.txt")), as: UTF8.self)
    return text.split(separator: "\n").map { line in
      let words = line.split(separator: " ")
      return (String(words[1]), String(words[0]))
    }
  }

  @Test(arguments: versions) func everyFileIsSoundAndHoldsWhatItHeld(version: String) throws {
    let digests = try digests(version)
    #expect(digests.count >= 8)
    for (name, digest) in digests {
      let path = fixture("golden/\(version)/\(name).h5")
      let report = try NativeFormat.verify(path)
      #expect(report.problems.map { "\(name): \($0.place): \($0.what)" } == [])
      let checkpoint = try NativeFormat.read(path)
      #expect(checkpoint.warnings == [])
      let content = try ContentDigest.compute(checkpoint.root).description
      #expect(content == digest, "\(name)")
    }
  }

  /// The fixtures that they were made from are still there: both are the same checkpoint.
  @Test(arguments: versions) func everyFileEqualsItsSource(version: String) throws {
    for (name, digest) in try digests(version) {
      let source = try ContentDigest.compute(try TorchZip.read(fixture("torch/\(name).pt")).root).description
      #expect(source == digest, "\(name)")
    }
  }

  @Test(arguments: versions) func noFileIsUnlisted(version: String) throws {
    let listed = try digests(version).map { "\($0.name).h5" }.sorted()
    #expect(filesIn(fixture("golden/\(version)")).filter { $0.hasSuffix(".h5") } == listed)
  }
}
