internal import CHDF5

private let page: UInt64 = 4096

extension Call {
  /// Creates a contiguous dataset whose data starts at a multiple of 4096.
  ///
  /// libhdf5 has one alignment per open file. What decides the place of a large block, though, is the end of the
  /// file's allocated space: so the header is made first, without data; the end is moved to the next page; and a
  /// first element written, which allocates the data right there.
  func createAtPage(_ group: hid_t, _ name: String, _ type: hid_t, _ space: hid_t) throws(HDF5Error) -> hid_t {
    let list = try id(H5Pcopy(lists.contiguous))
    defer { H5Pclose(list) }
    try check(H5Pset_alloc_time(list, H5D_ALLOC_TIME_LATE))
    let dataset = try id(H5Dcreate2(group, name, type, space, lists.link, list, ckpt_default()))
    do throws(HDF5Error) {
      try advanceToPage(of: dataset)
      try writeFirstElement(dataset, type, space)
    } catch {
      H5Dclose(dataset)
      throw error
    }
    return dataset
  }

  private func advanceToPage(of dataset: hid_t) throws(HDF5Error) {
    let file = try id(H5Iget_file_id(dataset))
    defer { H5Idec_ref(file) }
    // Always a move: data put next to a block of libhdf5's own that ends here would start inside that block.
    try check(H5Fincrement_filesize(file, hsize_t(page - (try end(of: file)) % page)))
    // The increment counts from the file's length where that is beyond the allocated space.
    let rest = try end(of: file) % page
    if rest != 0 { try check(H5Fincrement_filesize(file, hsize_t(page - rest))) }
  }

  private func end(of file: hid_t) throws(HDF5Error) -> UInt64 {
    var end: haddr_t = 0
    try check(H5Fget_eoa(file, &end))
    return UInt64(end)
  }

  private func writeFirstElement(_ dataset: hid_t, _ type: hid_t, _ space: hid_t) throws(HDF5Error) {
    let rank = max(1, Int(H5Sget_simple_extent_ndims(space)))
    let origin = [hsize_t](repeating: 0, count: rank)
    let element = [UInt8](repeating: 0, count: Int(H5Tget_size(type)))
    let memory = try id(H5Screate(H5S_SCALAR))
    defer { H5Sclose(memory) }
    let target = try id(H5Scopy(space))
    defer { H5Sclose(target) }
    if H5Sget_simple_extent_type(target) == H5S_SIMPLE {
      try check(H5Sselect_elements(target, H5S_SELECT_SET, 1, origin))
    }
    try check(H5Dwrite(dataset, type, memory, target, ckpt_default(), element))
  }
}
