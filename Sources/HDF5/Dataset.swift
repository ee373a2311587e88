internal import CHDF5

/// An open dataset: a typed array of elements.
public struct Dataset: ~Copyable, HDF5Object, Sendable {
  public let location: Location

  init(location: Location) {
    self.location = location
  }

  deinit {
    Library.release(location.id)
  }

  /// The type of an element, as it is stored.
  public var type: Datatype {
    get throws(HDF5Error) {
      try Library.locked(location, "read type") { (call) throws(HDF5Error) in try call.type(of: location.id) }
    }
  }

  public var shape: Shape {
    get throws(HDF5Error) {
      try Library.locked(location, "read shape") { (call) throws(HDF5Error) in try call.shape(of: location.id) }
    }
  }

  /// Address of the first data byte in the file. nil for data that is not one block in this file: chunked, compact,
  /// virtual, external, without elements, or not yet allocated.
  public var offset: UInt64? {
    get throws(HDF5Error) {
      try Library.locked(location, "read offset") { (call) throws(HDF5Error) in
        // An undefined address is also what a failure returns: on an open dataset it does not fail.
        let address = H5Dget_offset(location.id)
        return address == haddr_t.max ? nil : UInt64(address)
      }
    }
  }

  /// Bytes allocated for the data; 0 before allocation. For chunked data that is after filtering.
  public var storageSize: UInt64 {
    get throws(HDF5Error) {
      try Library.locked(location, "read storage size") { (call) throws(HDF5Error) in
        UInt64(H5Dget_storage_size(location.id))
      }
    }
  }
}

extension Call {
  func type(of dataset: hid_t) throws(HDF5Error) -> Datatype {
    let type = try id(H5Dget_type(dataset))
    defer { H5Tclose(type) }
    return try describe(type: type)
  }

  func shape(of dataset: hid_t) throws(HDF5Error) -> Shape {
    let space = try id(H5Dget_space(dataset))
    defer { H5Sclose(space) }
    return try shape(ofSpace: space)
  }
}
