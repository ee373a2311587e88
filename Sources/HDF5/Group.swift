internal import CHDF5

/// An open group: a folder of links.
///
/// Every name is the name of one link in this group. A name that is empty, ".", or holds "/" or NUL is refused.
public struct Group: ~Copyable, HDF5Object, Sendable {
  public let location: Location

  init(location: Location) {
    self.location = location
  }

  deinit {
    Library.release(location.id)
  }

  /// Creates an empty group.
  ///
  /// - Throws: `exists` when the name is taken.
  public func createGroup(_ name: String) throws(HDF5Error) -> Group {
    let child = try self.child(name, "create group")
    let id = try Library.locked(child, "create group") { (call) throws(HDF5Error) in
      let lists = call.lists
      return try call.id(H5Gcreate2(location.id, name, lists.link, lists.group, ckpt_default()))
    }
    return Group(location: child.with(id: id))
  }

  /// Opens a group. Only hard links are followed: soft and external ones can lead out of the file.
  ///
  /// - Throws: `notFound`; `unsupported` for a link of another kind; `other` when it is not a group.
  public func openGroup(_ name: String) throws(HDF5Error) -> Group {
    let child = try self.child(name, "open group")
    let id = try Library.locked(child, "open group") { (call) throws(HDF5Error) in
      try call.requireHardLink(location.id, name)
      return try call.id(H5Gopen2(location.id, name, ckpt_default()))
    }
    return Group(location: child.with(id: id))
  }

  /// Opens a dataset. Only hard links are followed.
  ///
  /// - Throws: `notFound`; `unsupported` for a link of another kind; `other` when it is not a dataset.
  public func openDataset(_ name: String) throws(HDF5Error) -> Dataset {
    let child = try self.child(name, "open dataset")
    let id = try Library.locked(child, "open dataset") { (call) throws(HDF5Error) in
      try call.requireHardLink(location.id, name)
      return try call.id(H5Dopen2(location.id, name, ckpt_default()))
    }
    return Dataset(location: child.with(id: id))
  }

  /// The place of a link in this group, once its name has been found good.
  func child(_ name: String, _ operation: String) throws(HDF5Error) -> Location {
    try location.checkLinkName(name, operation)
    return location.child(name)
  }
}

extension Call {
  fileprivate func requireHardLink(_ group: hid_t, _ name: String) throws(HDF5Error) {
    var link = ckpt_link()
    guard ckpt_get_link(group, name, &link) >= 0 else {
      let cause = failure()
      // libhdf5 has different words for it in old and new groups.
      let exists = H5Lexists(group, name, ckpt_default())
      H5Eclear2(ckpt_default_stack())
      throw exists == 0 ? error(.notFound, "there is no such object") : cause
    }
    guard H5L_type_t(Int32(link.type)) == H5L_TYPE_HARD else {
      throw error(.unsupported, "it is a soft or external link, and only hard links are followed")
    }
  }
}
