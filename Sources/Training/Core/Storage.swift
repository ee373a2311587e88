public import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A block of memory that one tensor lies in, aligned to 64 bytes. What it holds at first is undefined.
final class Storage {
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  /// - Throws: `inputOutput` when memory is short.
  init(byteCount: Int) throws(CheckpointError) {
    var pointer: UnsafeMutableRawPointer?
    guard posix_memalign(&pointer, 64, max(byteCount, 64)) == 0, let pointer else {
      throw CheckpointError(.inputOutput, "no memory for \(byteCount) bytes")
    }
    base = pointer
    self.byteCount = byteCount
  }

  deinit { free(base) }

  /// As floats. The storage outlives the pointer only as long as someone holds it.
  var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }

  /// As integers: tokens, labels.
  var integers: UnsafeMutablePointer<Int64> { base.assumingMemoryBound(to: Int64.self) }
}
