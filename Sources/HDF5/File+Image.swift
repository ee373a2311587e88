internal import CHDF5

/// A range of memory by its address. A number, so that it is `Sendable`.
struct MemoryRange: Sendable {
  let address: UInt
  let count: Int

  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count)
  }
}

extension File {
  /// Opens a file that lies in memory, as a member of an archive does that is mapped. Its bytes are not copied.
  ///
  /// - Parameters:
  ///   - bytes: The whole file, which stays as it is while `owner` lives.
  ///   - owner: What keeps the bytes; the file keeps it until it is closed.
  ///   - name: What errors call the file.
  /// - Throws: `notHDF5`, `truncated`, `damaged`.
  public static func open(
    image bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable, name: String
  ) throws(HDF5Error) -> File {
    var location = Location(file: name, path: "/", id: -1)
    guard let start = bytes.baseAddress, bytes.count >= 8 else {
      throw location.error(.notHDF5, "open file", "\(bytes.count) bytes are no HDF5 file")
    }
    let image = MemoryRange(address: UInt(bitPattern: start), count: bytes.count)
    location.image = image
    // libhdf5 takes two files in memory of one name for the same.
    let unique = "\(name)#\(String(image.address, radix: 16))"
    guard !unique.utf8.contains(0) else {
      throw location.error(.other, "open file", "a file name must not contain NUL")
    }
    let id = try Library.locked(location, "open file") { (call) throws(HDF5Error) in
      let list = try call.id(H5Pcreate(ckpt_class_file_access()))
      defer { H5Pclose(list) }
      try call.check(H5Pset_fclose_degree(list, H5F_CLOSE_STRONG))
      try call.check(ckpt_set_image(list, UnsafeRawPointer(bitPattern: image.address), image.count))
      return try call.id(H5Fopen(unique, ckpt_access_read_only(), list))
    }
    return File(location: location.with(id: id), owner: owner)
  }
}
