internal import CHDF5

extension Group {
  /// Creates a dataset that is one block, allocated at once and never filled: its bytes are what `write` puts there,
  /// or what is written to the file at `offset` once it is closed.
  ///
  /// - Parameter atPage: Put data of 64 KiB and above at a multiple of 4096 bytes whatever the file's alignment is,
  ///   at the cost of up to 8 KiB. It holds while the file grows at its end: not after a removal in this session.
  /// - Throws: `exists` when the name is taken; `unsupported` for a type that cannot be written.
  public func createDataset(
    _ name: String, type: Datatype, shape: Shape, atPage: Bool = false
  ) throws(HDF5Error) -> Dataset {
    let bytes = try byteCount(name, type, shape)
    return try create(name, type, shape) { (call, type, space) throws(HDF5Error) in
      // libhdf5 packs small data together, and without data there is nothing to align.
      if atPage, bytes >= 1 << 16 { return try call.createAtPage(location.id, name, type, space) }
      return try call.create(location.id, name, type, space, call.lists.contiguous)
    }
  }

  /// Creates a dataset in chunks, each of which can be compressed.
  ///
  /// - Parameters:
  ///   - chunks: Elements of a chunk along each dimension, from 1 to the dataset's own.
  ///   - deflateLevel: 1 (fast) to 9 (small); nil for no compression.
  ///   - shuffle: Sort the bytes of the elements by significance first, which helps compression.
  public func createDataset(
    _ name: String, type: Datatype, shape: Shape, chunks: [Int], deflateLevel: Int? = nil, shuffle: Bool = false
  ) throws(HDF5Error) -> Dataset {
    _ = try byteCount(name, type, shape)
    return try create(name, type, shape) { (call, type, space) throws(HDF5Error) in
      guard chunks.count == shape.dimensions.count, !chunks.isEmpty, chunks.allSatisfy({ $0 > 0 }) else {
        throw call.error(.other, "chunks \(chunks) do not fit the dimensions \(shape.dimensions)")
      }
      let list = try call.chunkedList(chunks, deflateLevel, shuffle)
      defer { H5Pclose(list) }
      return try call.create(location.id, name, type, space, list)
    }
  }

  private func byteCount(_ name: String, _ type: Datatype, _ shape: Shape) throws(HDF5Error) -> Int {
    guard let bytes = shape.byteCount(elementBytes: type.byteCount) else {
      throw location.child(name).error(.other, "create dataset", "the dimensions \(shape.dimensions) are too large")
    }
    return bytes
  }

  private func create(
    _ name: String, _ type: Datatype, _ shape: Shape,
    _ make: (Call, _ type: hid_t, _ space: hid_t) throws(HDF5Error) -> hid_t
  ) throws(HDF5Error) -> Dataset {
    let child = try self.child(name, "create dataset")
    let id = try Library.locked(child, "create dataset") { (call) throws(HDF5Error) in
      let space = try call.makeSpace(shape)
      defer { H5Sclose(space) }
      return try call.withType(type) { (type) throws(HDF5Error) in try make(call, type, space) }
    }
    return Dataset(location: child.with(id: id))
  }
}

extension Call {
  fileprivate func create(
    _ group: hid_t, _ name: String, _ type: hid_t, _ space: hid_t, _ list: hid_t
  ) throws(HDF5Error) -> hid_t {
    try id(H5Dcreate2(group, name, type, space, lists.link, list, ckpt_default()))
  }

  fileprivate func chunkedList(_ chunks: [Int], _ deflateLevel: Int?, _ shuffle: Bool) throws(HDF5Error) -> hid_t {
    let list = try id(H5Pcreate(ckpt_class_dataset_create()))
    var done =
      PropertyLists.setObjectProfile(list)
      && H5Pset_chunk(list, Int32(chunks.count), chunks.map { hsize_t($0) }) >= 0
      && H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0
    if shuffle { done = done && H5Pset_shuffle(list) >= 0 }
    if let deflateLevel { done = done && H5Pset_deflate(list, UInt32(clamping: deflateLevel)) >= 0 }
    guard done else {
      let error = failure()
      H5Pclose(list)
      throw error
    }
    return list
  }
}
