internal import Checkpoint
internal import Kernels
import Synchronization

/// Calls `body` for each of `count` pieces, on several threads, and waits. Pieces must not depend on one another.
///
/// - Throws: the first error; what other pieces compute is of no use then.
func inPieces(_ count: Int, _ body: (Int) throws(CheckpointError) -> Void) throws(CheckpointError) {
  for piece in 0..<count { try body(piece) }
}
