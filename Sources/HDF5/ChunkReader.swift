internal import CHDF5

/// Reads the elements of a chunked dataset from its stored chunks.
///
/// libhdf5 1.10 takes whatever comes out of the filters for a whole chunk: a shorter one is read past its end. So it
/// only hands out the stored bytes here, and a chunk that does not make exactly its size is an error.
struct ChunkReader {
  let call: Call
  let dataset: hid_t
  let dimensions: [Int]
  let chunk: [Int]
  let elementBytes: Int
  /// Bytes of a chunk before filtering.
  let chunkBytes: Int
  /// Bytes of all stored chunks together, which is no more than the file has.
  let storedBytes: Int
  let decoder: ChunkDecoder
  /// An element of a chunk that was never written.
  let fill: [UInt8]

  /// Reads a part into memory that has room for just that.
  func read(_ slab: Slab, into target: UnsafeMutableRawPointer) throws(HDF5Error) {
    let first = slab.start.indices.map { slab.start[$0] / chunk[$0] }
    let last = slab.start.indices.map { (slab.start[$0] + slab.count[$0] - 1) / chunk[$0] }
    // A chunk without filters is read by the length in the chunk index, which no call tells beforehand; it is part
    // of the total, so room for the total is enough. Pages that are not touched cost nothing.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, storedBytes), alignment: 16)
    defer { scratch.deallocate() }
    var position = first
    repeat {
      let origin = position.indices.map { position[$0] * chunk[$0] }
      let bytes = try load(origin, scratch)
      copy(bytes, at: origin, slab, into: target)
    } while advance(&position, from: first, through: last)
  }

  /// The next position in row-major order; false at the end.
  private func advance(_ position: inout [Int], from first: [Int], through last: [Int]) -> Bool {
    for axis in position.indices.reversed() {
      if position[axis] < last[axis] {
        position[axis] += 1
        return true
      }
      position[axis] = first[axis]
    }
    return false
  }

  /// The elements of a chunk; empty for a chunk that was never written.
  private func load(_ origin: [Int], _ scratch: UnsafeMutableRawBufferPointer) throws(HDF5Error) -> [UInt8] {
    let offset = origin.map { hsize_t($0) }
    var stored: hsize_t = 0
    try call.check(H5Dget_chunk_storage_size(dataset, offset, &stored))
    if stored == 0 { return [] }
    guard let count = Int(exactly: stored), count <= storedBytes, decoder.canHold(chunkBytes, in: count) else {
      throw call.error(.damaged, "\(stored) bytes are stored for a chunk of \(chunkBytes)")
    }
    let part = UnsafeMutableRawBufferPointer(rebasing: scratch[..<count])
    part.initializeMemory(as: UInt8.self, repeating: 0)
    var skipped: UInt32 = 0
    try call.check(ckpt_read_chunk(dataset, offset, &skipped, part.baseAddress, storedBytes))
    let bytes = Array(part)
    guard let decoded = decoder.decode(bytes, skipped: skipped, limit: chunkBytes), decoded.count == chunkBytes else {
      throw call.error(.damaged, "the chunk at \(origin) is damaged")
    }
    return decoded
  }

  /// Copies what a chunk and the slab share, run by run along the last dimension.
  private func copy(
    _ bytes: [UInt8], at origin: [Int], _ slab: Slab, into target: UnsafeMutableRawPointer
  ) {
    let low = origin.indices.map { max(origin[$0], slab.start[$0]) }
    let high = origin.indices.map { min(origin[$0] + chunk[$0], slab.start[$0] + slab.count[$0]) - 1 }
    let last = origin.count - 1
    let run = (high[last] - low[last] + 1) * elementBytes
    var end = high
    end[last] = low[last]
    var position = low
    bytes.withUnsafeBytes { source in
      repeat {
        let place = index(position, from: slab.start, in: slab.count) * elementBytes
        if source.isEmpty {
          fillRun(target + place, run)
        } else {
          let from = index(position, from: origin, in: chunk) * elementBytes
          (target + place).copyMemory(from: UnsafeRawBufferPointer(rebasing: source[from..<from + run]))
        }
      } while advance(&position, from: low, through: end)
    }
  }

  private func fillRun(_ target: UnsafeMutableRawPointer, _ count: Int) {
    for start in stride(from: 0, to: count, by: elementBytes) {
      fill.withUnsafeBytes { (target + start).copyMemory(from: $0) }
    }
  }

  private func index(_ position: [Int], from origin: [Int], in extent: [Int]) -> Int {
    position.indices.reduce(0) { $0 * extent[$1] + position[$1] - origin[$1] }
  }
}

extension UnsafeMutableRawPointer {
  fileprivate func copyMemory(from source: UnsafeRawBufferPointer) {
    if let base = source.baseAddress { copyMemory(from: base, byteCount: source.count) }
  }
}

extension Call {
  /// A reader for a chunked dataset; nil for other layouts.
  func chunkReader(_ dataset: hid_t, _ shape: Shape) throws(HDF5Error) -> ChunkReader? {
    try withCreationList(dataset) { (list) throws(HDF5Error) in
      guard case .chunked(let chunk) = try layout(list) else { return nil }
      let dimensions = shape.dimensions
      let elementBytes = try type(of: dataset).byteCount
      guard chunk.count == dimensions.count, !chunk.contains(0), let bytes = checkedProduct(chunk + [elementBytes])
      else { throw error(.damaged, "chunks of \(chunk) do not fit the dimensions \(dimensions)") }
      var options: UInt32 = 0
      try check(H5Pget_chunk_opts(list, &options))
      guard options == 0 else { throw error(.unsupported, "chunks at the edge are stored without filters") }
      // What has just been written may still be in libhdf5's cache, unfiltered.
      try check(H5Dflush(dataset))
      let filters = try pipeline(list).map { ($0.filter.id, $0.parameter) }
      let stored = try storedBytes(dataset)
      guard !filters.isEmpty || bytes == 0 || stored % bytes == 0 else {
        throw error(.damaged, "\(stored) bytes are stored in chunks of \(bytes)")
      }
      return ChunkReader(
        call: self, dataset: dataset, dimensions: dimensions, chunk: chunk, elementBytes: elementBytes,
        chunkBytes: bytes, storedBytes: stored, decoder: ChunkDecoder(filters: filters),
        fill: try fill(dataset, list, elementBytes))
    }
  }

  /// Bytes of all chunks, which may not be more than the file's.
  private func storedBytes(_ dataset: hid_t) throws(HDF5Error) -> Int {
    let file = try id(H5Iget_file_id(dataset))
    defer { H5Idec_ref(file) }
    var size: hsize_t = 0
    try check(H5Fget_filesize(file, &size))
    let stored = H5Dget_storage_size(dataset)
    guard stored <= size, let bytes = Int(exactly: stored) else {
      throw error(.damaged, "\(stored) bytes are stored in a file of \(size)")
    }
    return bytes
  }

  private func fill(_ dataset: hid_t, _ list: hid_t, _ bytes: Int) throws(HDF5Error) -> [UInt8] {
    var fill = [UInt8](repeating: 0, count: bytes)
    var status = H5D_FILL_VALUE_UNDEFINED
    try check(H5Pfill_value_defined(list, &status))
    guard status == H5D_FILL_VALUE_USER_DEFINED else { return fill }
    try withStoredType(dataset) { (type) throws(HDF5Error) in
      let status = fill.withUnsafeMutableBytes { H5Pget_fill_value(list, type, $0.baseAddress) }
      try check(status)
    }
    return fill
  }
}
