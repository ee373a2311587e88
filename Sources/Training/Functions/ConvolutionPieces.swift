internal import Checkpoint
internal import Kernels
internal import Synchronization

/// Calls `body` for each of `count` pieces, on several threads, and waits. Pieces must not depend on one another.
///
/// - Throws: the first error; what the other pieces compute is of no use then.
func inPieces(_ count: Int, _ body: (Int) throws(CheckpointError) -> Void) throws(CheckpointError) {
  guard count > 1 else {
    if count == 1 { try body(0) }
    return
  }
  let failure = Mutex<CheckpointError?>(nil)
  withoutActuallyEscaping({ (index: Int) in
    do throws(CheckpointError) { try body(index) } catch { failure.withLock { $0 = $0 ?? error } }
  }) { run in
    withUnsafePointer(to: Pieces(run: run)) { pieces in
      ck_parallel(
        count,
        { context, index in context?.assumingMemoryBound(to: Pieces.self).pointee.run(index) },
        UnsafeMutableRawPointer(mutating: pieces))
    }
  }
  if let error = failure.withLock({ $0 }) { throw error }
}

/// What the threads are to do; it outlives them, since the call waits.
private struct Pieces {
  let run: (Int) -> Void
}
