import Crypto

/// One hash under way, of either algorithm.
public struct StreamHasher: ~Copyable {
  private var fast: XXH3?
  private var secure: SHA256?

  public init(_ algorithm: Digest.Algorithm) throws(CheckpointError) {
    switch algorithm {
    case .xxh3:
      fast = try XXH3()
      secure = nil
    case .sha256:
      fast = nil
      secure = SHA256()
    }
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    fast?.update(bytes)
    secure?.update(bufferPointer: bytes)
  }

  /// The digest of what was given so far.
  public borrowing func digest() -> Digest {
    if let secure { return Digest(.sha256, bytes: Array(secure.finalize())) }
    return fast?.digest() ?? Digest(.xxh3, bytes: [])
  }
}

extension Tensor {
  /// The digest of the tensor's logical bytes: row-major, little-endian, without gaps.
  public func digest(_ algorithm: Digest.Algorithm = .xxh3) throws(CheckpointError) -> Digest {
    var hasher = try StreamHasher(algorithm)
    // A failure inside the closure cannot leave `hasher` half used: the digest is never taken then.
    try source.forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in hasher.update(piece) }
    return hasher.digest()
  }
}
