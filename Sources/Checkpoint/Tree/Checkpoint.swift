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
}
