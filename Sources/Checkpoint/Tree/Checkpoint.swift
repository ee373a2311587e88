/// A checkpoint that was read: the tree, and what the file said about itself. Tensors are lazy.
public struct Checkpoint: Sendable {
  /// Everything that the file holds.
  public var root: Value
  /// What the reader has to say: a class it did not know, a tensor without data.
  public var warnings: [String]
  /// The content digest that the file records, where it records one: `xxh3-128:…` or `sha256:…`. A claim, not a fact.
  public var recordedDigest: String?

  public init(root: Value, warnings: [String] = [], recordedDigest: String? = nil) {
    self.root = root
    self.warnings = warnings
    self.recordedDigest = recordedDigest
  }

  /// Holds the whole tree against the digest that its file records, if it records one: reads every byte.
  ///
  /// - Throws: `damaged` where they differ, and what a tensor's source throws.
  public func checkContent() throws(CheckpointError) {
    guard let text = recordedDigest else { return }
    guard let claim = Digest(text: text) else {
      throw CheckpointError(.damaged, "'\(text.prefix(100))' is no digest", place: "content digest")
    }
    let found = try ContentDigest.compute(root, claim.algorithm)
    guard found == claim else {
      throw CheckpointError(
        .damaged, "the content digest is \(found), the file claims \(claim)",
        advice: "Its bytes were changed after it was written: damaged, or edited by another program.")
    }
  }
}
