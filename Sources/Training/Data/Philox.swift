internal import Kernels

/// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3; 2011) as samplers use it.
///
/// The key is the seed (its low half first); the counter is the block's number (64 bits, low half first), then the epoch
/// (32 bits), then what the numbers are for (32 bits). A block's four words x0, x1, x2, x3 are two 64-bit numbers,
/// x0 + 2^32 x1 and x2 + 2^32 x3; number n of a stream is half n mod 2 of block n / 2. A number w is scaled to 0 ..< k
/// as floor(w * k / 2^64).
enum Philox {
  enum Purpose: UInt32 {
    /// "samp"
    case permutation = 0x7361_6D70
    /// "wind"
    case windowStarts = 0x7769_6E64
  }

  private static func stream(_ epoch: Int, _ purpose: Purpose) -> UInt64 {
    UInt64(purpose.rawValue) << 32 | UInt64(UInt32(truncatingIfNeeded: epoch))
  }

  /// `0 ..< count` in an order of its own for each seed and epoch.
  static func permutation(_ count: Int, seed: UInt64, epoch: Int) -> [UInt32] {
    [UInt32](unsafeUninitializedCapacity: count) { out, size in
      ck_permutation(out.baseAddress, count, seed, stream(epoch, .permutation))
      size = count
    }
  }

  /// Numbers `first ..< first + count` of the epoch, scaled to `0 ..< limit`.
  static func starts(_ count: Int, from first: Int, below limit: Int, seed: UInt64, epoch: Int) -> [Int] {
    [Int](unsafeUninitializedCapacity: count) { out, size in
      ck_bounded_words(
        out.baseAddress, UInt64(first), count, UInt64(limit), seed, stream(epoch, .windowStarts))
      size = count
    }
  }
}
