import Kernels

/// A streaming XXH3-128 hash (xxHash 0.8).
public struct XXH3: ~Copyable {
  private let state: UnsafeMutableRawPointer

  /// - Throws: `inputOutput` when there is no memory for the state (576 bytes).
  public init() throws(CheckpointError) {
    guard let state = ck_xxh3_create() else { throw CheckpointError(.inputOutput, "out of memory") }
    self.state = state
  }

  deinit { ck_xxh3_free(state) }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    if let start = bytes.baseAddress { ck_xxh3_update(state, start, bytes.count) }
  }

  /// Starts anew.
  public mutating func reset() { ck_xxh3_reset(state) }

  /// The digest of what was given so far.
  public borrowing func digest() -> Digest { Digest(ck_xxh3_digest(state)) }

  /// The digest of one piece of memory.
  public static func hash(_ bytes: UnsafeRawBufferPointer) -> Digest {
    Digest(ck_xxh3_hash(bytes.baseAddress, bytes.count))
  }
}
