internal import CHDF5

extension Dataset {
  /// Writes all elements, in the stored type and row-major order.
  ///
  /// - Throws: `other` when the bytes are not as many as the dataset's; `noSpace` on a full disk.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(HDF5Error) {
    try Library.locked(location, "write data") { (call) throws(HDF5Error) in
      let total = try call.byteCount(location.id)
      guard bytes.count == total else {
        throw call.error(.other, "\(bytes.count) bytes were given for a dataset of \(total)")
      }
      guard let base = bytes.baseAddress, total > 0 else { return }
      try call.withStoredType(location.id) { (type) throws(HDF5Error) in
        try call.check(
          H5Dwrite(location.id, type, ckpt_all(), ckpt_all(), ckpt_default(), base))
      }
    }
  }

  /// Reads all elements, as they are stored, in row-major order.
  ///
  /// A shape is only a claim of the file: compare `storageSize` before making a buffer of the claimed size.
  ///
  /// - Throws: `other` when the buffer's size is not the dataset's; `unsupported` for data outside this file,
  ///   for variable-length types and for filters other than deflate, shuffle and fletcher32.
  public func read(into buffer: UnsafeMutableRawBufferPointer) throws(HDF5Error) {
    try readSlab(start: [], count: [], into: buffer)
  }

  /// Reads a part: along the first dimensions `count` elements from `start`, all of the remaining ones.
  ///
  /// - Throws: As `read`; `other` for a part that is not inside the shape.
  public func readSlab(
    start: [Int], count: [Int], into buffer: UnsafeMutableRawBufferPointer
  ) throws(HDF5Error) {
    try Library.locked(location, "read data") { (call) throws(HDF5Error) in
      let type = try call.type(of: location.id)
      let shape = try call.shape(of: location.id)
      try call.checkReadable(location.id, type, shape)
      let slab = try call.slab(shape, start, count)
      guard checkedProduct(slab.count + [type.byteCount]) == buffer.count || shape == .null && buffer.isEmpty else {
        throw call.error(.other, "a buffer of \(buffer.count) bytes was given for elements \(slab.count) of \(type)")
      }
      guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
      try call.read(location.id, shape, slab, into: base)
    }
  }
}

/// A part of a dataset, with one entry for each dimension.
struct Slab {
  var start: [Int]
  var count: [Int]
}

extension Call {
  fileprivate func byteCount(_ dataset: hid_t) throws(HDF5Error) -> Int {
    guard let bytes = try shape(of: dataset).byteCount(elementBytes: try type(of: dataset).byteCount) else {
      throw error(.damaged, "the dataset's size overflows")
    }
    return bytes
  }

  func withStoredType(_ dataset: hid_t, _ body: (hid_t) throws(HDF5Error) -> Void) throws(HDF5Error) {
    let type = try id(H5Dget_type(dataset))
    defer { H5Tclose(type) }
    // Such an element is a pointer in memory, which raw bytes are not.
    guard H5Tdetect_class(type, H5T_VLEN) == 0, H5Tis_variable_str(type) == 0 else {
      throw error(.unsupported, "variable-length data")
    }
    try body(type)
  }

  fileprivate func slab(_ shape: Shape, _ start: [Int], _ count: [Int]) throws(HDF5Error) -> Slab {
    let dimensions = shape.dimensions
    guard start.count == count.count, start.count <= dimensions.count else {
      throw error(.other, "start \(start) and count \(count) do not fit the dimensions \(dimensions)")
    }
    for (index, dimension) in dimensions.prefix(start.count).enumerated() {
      // Subtracting, since the sum could overflow.
      guard start[index] >= 0, count[index] >= 0, start[index] <= dimension, count[index] <= dimension - start[index]
      else { throw error(.other, "elements \(count) from \(start) are not inside the dimensions \(dimensions)") }
    }
    let rest = dimensions.dropFirst(start.count)
    return Slab(start: start + rest.map { _ in 0 }, count: count + rest)
  }

  /// Refuses what would read other files, run exotic decoders, or contradicts itself.
  fileprivate func checkReadable(_ dataset: hid_t, _ type: Datatype, _ shape: Shape) throws(HDF5Error) {
    try withStoredType(dataset) { _ in }
    try withCreationList(dataset) { (list) throws(HDF5Error) in
      let layout = try self.layout(list)
      guard layout != .virtual else { throw error(.unsupported, "a virtual dataset takes its data from elsewhere") }
      guard try externalFileCount(list) == 0 else { throw error(.unsupported, "the data is in an external file") }
      for filter in try filters(list) where ![1, 2, 3].contains(filter.id) {
        throw error(.unsupported, "filter \(filter.id) \(filter.name) is not deflate, shuffle or fletcher32")
      }
      guard let bytes = shape.byteCount(elementBytes: type.byteCount) else {
        throw error(.damaged, "the dataset's size overflows")
      }
      let stored = H5Dget_storage_size(dataset)
      switch layout {
      case .compact where stored != bytes, .contiguous where stored != 0 && stored != bytes:
        throw error(.damaged, "\(stored) bytes are stored where the shape and the type make \(bytes)")
      default: break
      }
    }
  }

  fileprivate func read(
    _ dataset: hid_t, _ shape: Shape, _ slab: Slab, into base: UnsafeMutableRawPointer
  ) throws(HDF5Error) {
    if let reader = try chunkReader(dataset, shape) {
      try reader.read(slab, into: base)
      return
    }
    try withStoredType(dataset) { (type) throws(HDF5Error) in
      guard case .simple(let dimensions) = shape, slab.count != dimensions else {
        try check(H5Dread(dataset, type, ckpt_all(), ckpt_all(), ckpt_default(), base))
        return
      }
      let source = try id(H5Dget_space(dataset))
      defer { H5Sclose(source) }
      let count = slab.count.map { hsize_t($0) }
      try check(H5Sselect_hyperslab(source, H5S_SELECT_SET, slab.start.map { hsize_t($0) }, nil, count, nil))
      let memory = try id(H5Screate_simple(Int32(count.count), count, nil))
      defer { H5Sclose(memory) }
      try check(H5Dread(dataset, type, memory, source, ckpt_default(), base))
    }
  }
}
