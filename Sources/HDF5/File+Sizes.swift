internal import CHDF5

extension File {
  /// Bytes of the file, user block included, as libhdf5 sees it: allocated space counts before it is written.
  public var fileSize: UInt64 {
    get throws(HDF5Error) {
      try Library.locked(location, "read file size") { (call) throws(HDF5Error) in
        var size: hsize_t = 0
        try call.check(H5Fget_filesize(location.id, &size))
        return UInt64(size)
      }
    }
  }

  /// Where the file ends by its own account. A file that goes on after it has had something appended.
  public var endOfAllocation: UInt64 {
    get throws(HDF5Error) {
      try Library.locked(location, "read end of allocation") { (call) throws(HDF5Error) in
        var address: haddr_t = 0
        try call.check(H5Fget_eoa(location.id, &address))
        return UInt64(address)
      }
    }
  }

  /// Bytes before the HDF5 signature; 0 in an ordinary file.
  public var userblockSize: UInt64 {
    get throws(HDF5Error) {
      try Library.locked(location, "read user block size") { (call) throws(HDF5Error) in
        let list = try call.id(H5Fget_create_plist(location.id))
        defer { H5Pclose(list) }
        var size: hsize_t = 0
        try call.check(H5Pget_userblock(list, &size))
        return UInt64(size)
      }
    }
  }
}
