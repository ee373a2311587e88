/// Random numbers by counting: Philox 4x32-10. What comes next depends on two numbers alone, `seed` and `offset`, so
/// the state is saved and restored exactly, and threads may compute any part of a sequence.
public final class Generator {
  /// The key.
  public let seed: UInt64
  /// How many blocks of four 32-bit numbers have been taken.
  public var offset: UInt64

  public init(seed: UInt64, offset: UInt64 = 0) {
    self.seed = seed
    self.offset = offset
  }

  /// Takes the next `count` 32-bit numbers; gives the block to start at.
  func reserve(_ count: Int) -> UInt64 {
    defer { offset &+= UInt64((count + 3) / 4) }
    return offset
  }
}
