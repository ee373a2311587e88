import Checkpoint

/// Other sources' bytes, one after the other. Nothing is read before it is asked for.
final class JoinedSource: ComputedSource {
  private let parts: [any ByteSource]
  let byteCount: Int

  init(_ parts: [any ByteSource]) {
    self.parts = parts
    byteCount = parts.reduce(0) { $0 + $1.byteCount }
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(byteCount, 1), alignment: 64)
    defer { memory.deallocate() }
    var place = 0
    for part in parts {
      try part.withBytes { (bytes) throws(CheckpointError) in
        UnsafeMutableRawBufferPointer(rebasing: memory[place...]).copyMemory(from: bytes)
      }
      place += part.byteCount
    }
    try body(UnsafeRawBufferPointer(rebasing: memory[..<byteCount]))
  }

  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    for part in parts { try part.forEachPiece(limit: limit, body) }
  }
}
