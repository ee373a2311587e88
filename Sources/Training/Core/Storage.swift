import Checkpoint
internal import Kernels

/// A block of memory that one tensor lies in, aligned to 64 bytes. What it holds at first is undefined. Blocks are used
/// again: a step takes those that the step before gave back.
final class Storage {
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  /// - Throws: `inputOutput` when memory is short.
  init(byteCount: Int) throws(CheckpointError) {
    guard byteCount >= 0, let base = ck_block_take(byteCount) else {
      throw CheckpointError(.inputOutput, "no memory for \(byteCount) bytes")
    }
    self.base = base
    self.byteCount = byteCount
  }

  deinit { ck_block_give(base, byteCount) }

  /// As floats. The storage outlives the pointer only as long as someone holds it.
  var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }

  /// As integers: tokens, labels.
  var integers: UnsafeMutablePointer<Int64> { base.assumingMemoryBound(to: Int64.self) }
}

/// The memory that tensors lie in.
public enum Memory {
  /// Bytes that no tensor lies in at present, kept for the next ones.
  public static var idleBytes: Int { ck_blocks_idle() }

  /// Gives idle memory back to the system; says how many bytes.
  @discardableResult
  public static func trim() -> Int { ck_blocks_trim() }
}
