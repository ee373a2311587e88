internal import CHDF5

extension File {
  /// Whether the file starts with the HDF5 signature. Reads 8 bytes and does not start libhdf5.
  public static func isHDF5(_ path: String) -> Bool {
    guard case .success(let bytes) = SystemFile.start(of: path) else { return false }
    return bytes == SystemFile.signature
  }

  /// Opens an existing file. A file opened for reading is not locked, since locks fail on network file systems.
  ///
  /// - Parameter locking: Take libhdf5's lock on a file opened for writing. Leave it out where the caller has one.
  /// - Throws: `notFound`, `inputOutput` (no permission, a directory), `notHDF5`, `truncated`, `damaged`.
  public static func open(
    _ path: String, _ access: Access, alignment: Alignment = .cacheLine, locking: Bool = true
  ) throws(HDF5Error) -> File {
    let location = try place(path, "open file")
    // libhdf5 tells a missing file and a denied one only by the words of a message.
    if case .failure(let cause) = SystemFile.start(of: path) {
      throw location.error(.init(systemError: cause.number), "open file", cause.text)
    }
    let id = try Library.locked(location, "open file") { (call) throws(HDF5Error) in
      let list = try call.accessList(access, alignment, locking: locking)
      defer { H5Pclose(list) }
      let flags = access == .readOnly ? ckpt_access_read_only() : ckpt_access_read_write()
      return try call.id(H5Fopen(path, flags, list))
    }
    return File(location: location.with(id: id))
  }

  /// Creates a file: format bounds of HDF5 1.8, links and attributes in order of creation, no times.
  ///
  /// libhdf5 has one alignment per open file. To get large datasets at pages and small ones at cache lines, create
  /// the file with `.page`, add the large ones, close, and open it again with `.cacheLine`;
  /// or pass `atPage: true` to `createDataset`.
  ///
  /// - Parameters:
  ///   - metadataBlock: Bytes that libhdf5 sets aside at a time for headers: about as much as all of them will take
  ///     keeps them together, where a program that lists the file finds them in few pages.
  ///   - truncating: Replace a file of that name, instead of failing with `exists`.
  ///   - locking: Take libhdf5's lock on the file. Leave it out for a file that the caller has locked itself.
  public static func create(
    _ path: String, alignment: Alignment = .cacheLine, metadataBlock: Int = 2048, truncating: Bool = false,
    locking: Bool = true
  ) throws(HDF5Error) -> File {
    let location = try place(path, "create file")
    if !truncating, SystemFile.exists(path) { throw location.error(.exists, "create file", "the file exists") }
    let id = try Library.locked(location, "create file") { (call) throws(HDF5Error) in
      let access = try call.accessList(.readWrite, alignment, metadataBlock: metadataBlock, locking: locking)
      defer { H5Pclose(access) }
      let creation = try call.id(H5Pcreate(ckpt_class_file_create()))
      defer { H5Pclose(creation) }
      guard PropertyLists.setGroupOrder(creation), PropertyLists.setObjectProfile(creation) else {
        throw call.failure()
      }
      let flags = truncating ? ckpt_access_truncate() : ckpt_access_exclusive()
      return try call.id(H5Fcreate(path, flags, creation, access))
    }
    return File(location: location.with(id: id))
  }

  private static func place(_ path: String, _ operation: String) throws(HDF5Error) -> Location {
    let location = Location(file: path, path: "/", id: -1)
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw location.error(.other, operation, "a file name must not be empty or contain NUL")
    }
    return location
  }
}

extension Call {
  fileprivate func accessList(
    _ access: File.Access, _ alignment: File.Alignment, metadataBlock: Int = 2048, locking: Bool
  ) throws(HDF5Error) -> hid_t {
    guard let threshold = hsize_t(exactly: alignment.threshold), let bytes = hsize_t(exactly: alignment.bytes) else {
      throw error(.other, "an alignment must not be negative")
    }
    let list = try id(H5Pcreate(ckpt_class_file_access()))
    // Strong: with the file, all that was opened from it is closed, and its bytes can be written by other means.
    var done = H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) >= 0 && H5Pset_alignment(list, threshold, bytes) >= 0
    done = done && H5Pset_meta_block_size(list, hsize_t(max(metadataBlock, 2048))) >= 0
    if access == .readWrite {
      done = done && H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0
    }
    done = done && ckpt_set_file_locking(list, access == .readWrite && locking ? 1 : 0) >= 0
    guard done else {
      let error = failure()
      H5Pclose(list)
      throw error
    }
    return list
  }
}
