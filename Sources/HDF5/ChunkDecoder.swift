internal import CHDF5

/// Undoes the filters of a chunk, without a step ever making more than it may.
struct ChunkDecoder {
  /// Numbers of filters 1 (deflate), 2 (shuffle) and 3 (fletcher32) in order of writing, each with its parameter.
  let filters: [(id: Int, parameter: Int)]

  /// Deflate makes at most 1032 bytes of one. What claims more is not worth the memory for it.
  func canHold(_ bytes: Int, in stored: Int) -> Bool {
    let isDeflated = filters.contains { $0.id == 1 }
    return bytes / (isDeflated ? 1032 : 1) <= stored
  }

  /// The bytes before filtering; nil when a filter finds them damaged.
  ///
  /// - Parameters:
  ///   - skipped: Bit n is set when filter n was not applied to this chunk.
  ///   - limit: Bytes of a whole chunk.
  func decode(_ stored: [UInt8], skipped: UInt32, limit: Int) -> [UInt8]? {
    var bytes = stored
    for (index, filter) in filters.enumerated().reversed() where index > 31 || skipped & (1 << index) == 0 {
      // Checksums of filters before this one may still be there.
      let room = limit + 4 * filters[..<index].count { $0.id == 3 }
      guard let decoded = undo(filter, bytes, room) else { return nil }
      bytes = decoded
    }
    return bytes
  }

  private func undo(_ filter: (id: Int, parameter: Int), _ bytes: [UInt8], _ room: Int) -> [UInt8]? {
    switch filter.id {
    case 1: inflate(bytes, room)
    case 2: unshuffle(bytes, filter.parameter)
    case 3: checkFletcher32(bytes)
    default: nil
    }
  }

  private func inflate(_ bytes: [UInt8], _ room: Int) -> [UInt8]? {
    var result = [UInt8](repeating: 0, count: room)
    let count = bytes.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        ckpt_inflate(source.baseAddress, source.count, target.baseAddress, target.count)
      }
    }
    guard count >= 0 else { return nil }
    result.removeLast(room - Int(count))
    return result
  }

  /// All first bytes of the elements are followed by all second ones, and so on; an incomplete element stays last.
  private func unshuffle(_ bytes: [UInt8], _ size: Int) -> [UInt8] {
    guard size > 1, bytes.count >= size else { return bytes }
    let count = bytes.count / size
    var result = bytes
    bytes.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        for plane in 0..<size {
          for element in 0..<count { target[element * size + plane] = source[plane * count + element] }
        }
      }
    }
    return result
  }

  private func checkFletcher32(_ bytes: [UInt8]) -> [UInt8]? {
    guard bytes.count >= 4 else { return nil }
    let data = Array(bytes.dropLast(4))
    let stored = bytes.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return fletcher32(data) == stored ? data : nil
  }
}

/// The Fletcher checksum over big-endian 16-bit words, as HDF5 computes it.
func fletcher32(_ bytes: [UInt8]) -> UInt32 {
  var low: UInt32 = 0
  var high: UInt32 = 0
  for start in stride(from: 0, to: bytes.count, by: 2) {
    let next = start + 1 < bytes.count ? UInt32(bytes[start + 1]) : 0
    low = low &+ (UInt32(bytes[start]) << 8 | next)
    high = high &+ low
    // Sums of 360 words fit; folding at each word keeps it simple and gives the same remainder.
    low = low & 0xFFFF &+ low >> 16
    high = high & 0xFFFF &+ high >> 16
  }
  low = low & 0xFFFF &+ low >> 16
  high = high & 0xFFFF &+ high >> 16
  return high << 16 | low
}
