internal import CHDF5

/// An open HDF5 file.
///
/// The end of a `File`, or `close()`, closes the file with all that was opened from it: groups and datasets that
/// are still around then answer every call with an error.
public struct File: ~Copyable, Sendable {
  public enum Access: Sendable {
    case readOnly
    case readWrite
  }

  /// Where blocks of the file may begin: those of at least `threshold` bytes at multiples of `bytes`.
  public struct Alignment: Equatable, Sendable {
    public var threshold: Int
    public var bytes: Int

    public init(threshold: Int, bytes: Int) {
      self.threshold = threshold
      self.bytes = bytes
    }

    /// Every block at a multiple of 64 bytes: any element type can be used in place in a mapped file.
    public static let cacheLine = Alignment(threshold: 1, bytes: 64)
    /// Every block at a multiple of 4096 bytes; too wasteful for anything but large datasets.
    public static let page = Alignment(threshold: 1, bytes: 4096)
  }

  let location: Location
  /// Keeps the memory of a file that lies there.
  private let owner: (any AnyObject & Sendable)?
  private var isOpen = true

  init(location: Location, owner: (any AnyObject & Sendable)? = nil) {
    self.location = location
    self.owner = owner
  }

  deinit {
    // The result is lost here; a writer calls `close()` to learn of a failed flush.
    if isOpen { try? File.close(location) }
    withExtendedLifetime(owner) {}
  }

  /// Path of the file, as it was given.
  public var path: String { location.file }

  /// Writes what is pending and closes the file.
  ///
  /// - Throws: `noSpace` or `inputOutput` when the pending data could not be written. The file is then useless.
  public consuming func close() throws(HDF5Error) {
    isOpen = false
    defer { withExtendedLifetime(owner) {} }
    try File.close(location)
  }

  private static func close(_ location: Location) throws(HDF5Error) {
    try Library.locked(location, "close file") { (call) throws(HDF5Error) in
      try call.check(ckpt_close_file(location.id))
    }
  }

  /// Hands all that is pending to the operating system. This is not an `fsync`.
  public func flush() throws(HDF5Error) {
    try Library.locked(location, "flush file") { (call) throws(HDF5Error) in
      try call.check(H5Fflush(location.id, H5F_SCOPE_LOCAL))
    }
  }

  /// The root group.
  public func root() throws(HDF5Error) -> Group {
    let id = try Library.locked(location, "open root group") { (call) throws(HDF5Error) in
      try call.id(H5Gopen2(location.id, "/", ckpt_default()))
    }
    return Group(location: location.with(id: id))
  }
}
