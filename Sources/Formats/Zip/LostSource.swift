import Checkpoint

/// Bytes that are not in the file any more.
final class LostSource: ByteSource {
  let byteCount: Int
  private let what: String

  init(_ byteCount: Int, _ what: String) { (self.byteCount, self.what) = (byteCount, what) }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    throw CheckpointError(.damaged, "\(what) is lost")
  }
}
