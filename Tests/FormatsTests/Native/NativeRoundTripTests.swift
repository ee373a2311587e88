import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct NativeRoundTripTests {
  let folder = TemporaryFolder()

  private func expectRoundTrip(_ root: Value, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let path = folder.file("x.h5")
    var options = NativeFormat.WriteOptions()
    options.replaces = true
    let written = try NativeFormat.write(root, to: path, options: options)
    let content = try ContentDigest.compute(root)
    #expect(content == written.contentDigest, sourceLocation: sourceLocation)
    let read = try NativeFormat.read(path)
    #expect(read.warnings == [], sourceLocation: sourceLocation)
    #expect(read.recordedDigest == written.contentDigest.description, sourceLocation: sourceLocation)
    let readContent = try ContentDigest.compute(read.root)
    #expect(readContent == content, sourceLocation: sourceLocation)
    let report = try NativeFormat.verify(path)
    #expect(report.problems.map { "\($0.place): \($0.what)" } == [], sourceLocation: sourceLocation)
  }

  @Test func aTrainingCheckpointComesBackEqual() throws { try expectRoundTrip(try trainingTree()) }

  @Test func everyKindOfValueAndKeyComesBackEqual() throws { try expectRoundTrip(try oddTree()) }

  @Test func aBareStateDictLiesAtModel() throws {
    try expectRoundTrip(dict(("a.weight", try tensor([1, 2], [2])), ("b", try tensor([3], [1]))))
  }

  @Test func aRootThatIsNoDictComesBackEqual() throws {
    try expectRoundTrip(.sequence(.list, [try tensor([1], [1]), .int(3)]))
    try expectRoundTrip(try tensor([1], [1]))
    try expectRoundTrip(.none)
  }

  @Test func equalContentGivesEqualBytes() throws {
    try NativeFormat.write(try trainingTree(), to: folder.file("a.h5"))
    try NativeFormat.write(try trainingTree(), to: folder.file("b.h5"))
    let (a, b) = (try readBytes(folder.file("a.h5")), try readBytes(folder.file("b.h5")))
    #expect(a == b)
  }
}
