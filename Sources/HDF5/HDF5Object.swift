internal import CHDF5

/// A group or a dataset: what can carry attributes.
public protocol HDF5Object: ~Copyable {
  /// Where the object is.
  var location: Location { get }
}

/// The place of an object: its file and its path in there.
public struct Location: Sendable {
  /// Path of the file, as it was given when the file was opened.
  public let file: String
  /// Absolute path of the object in the file.
  public let path: String
  /// The owner's id. The location does not own it.
  let id: Int64
  /// Where the file lies in memory, if it does.
  var image: MemoryRange?

  func child(_ name: String) -> Location {
    Location(file: file, path: path == "/" ? "/" + name : "\(path)/\(name)", id: id, image: image)
  }

  func with(id: Int64) -> Location {
    Location(file: file, path: path, id: id, image: image)
  }

  func error(_ kind: HDF5Error.Kind, _ operation: String, _ reason: String) -> HDF5Error {
    HDF5Error(kind: kind, file: file, path: path, operation: operation, reason: reason)
  }
}

extension HDF5Object where Self: ~Copyable {
  /// Address, kind and number of hard links of the object.
  public func objectInfo() throws(HDF5Error) -> ObjectInfo {
    try Library.locked(location, "look up object") { (call) throws(HDF5Error) in
      var object = ckpt_object()
      try call.check(ckpt_get_object(call.location.id, nil, &object))
      return ObjectInfo(object)
    }
  }
}
