import Checkpoint
import Kernels

/// The elements of a block-quantised tensor as float32, decoded piece by piece as they are asked for.
final class DequantizedSource: ByteSource {
  private let blocks: any ByteSource
  private let type: GGUFTensorType
  private let count: Int

  /// - Parameters:
  ///   - blocks: whole blocks of `type`, which must be one that is decoded here.
  init(_ blocks: any ByteSource, _ type: GGUFTensorType) throws(CheckpointError) {
    let number = blocks.byteCount / type.blockBytes
    let (bytes, overflow) = number.multipliedReportingOverflow(by: type.blockElements * 4)
    guard !overflow, blocks.byteCount % type.blockBytes == 0, type.isDecoded else {
      throw CheckpointError(.damaged, "\(blocks.byteCount) bytes cannot be decoded as \(type.name)")
    }
    (self.blocks, self.type, count) = (blocks, type, number)
    byteCount = bytes
  }

  let byteCount: Int

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    guard count > 0 else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    try forEachPiece(limit: byteCount, body)
  }

  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard count > 0 else { return }
    let size = type.blockElements * 4
    let most = min(max(limit / size, 1), count)
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: most * size, alignment: 64)
    defer { piece.deallocate() }
    try blocks.withBytes { (stored) throws(CheckpointError) in
      var first = 0
      while first < count {
        let n = min(most, count - first)
        guard let from = stored.baseAddress, let to = piece.baseAddress else { return }
        let known = ck_dequantize(type.code, from + first * type.blockBytes, n, to)
        guard known == 0 else { throw CheckpointError(.unsupported, "\(type.name) is not decoded here") }
        try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<(n * size)]))
        first += n
      }
    }
  }
}
