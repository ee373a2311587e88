internal import CHDF5
internal import Synchronization

/// The one door to libhdf5: a lock, the set-up that has to happen once, and the property lists that never change.
///
/// Builds of libhdf5 differ in thread safety, and the error stack is per thread, so a whole sequence of calls with
/// the reading of its error stack is one critical section. Nothing inside may call a public method of this module
/// or end the life of one of its owners: the lock is not recursive.
enum Library {
  private static let lists = Mutex<PropertyLists?>(nil)

  /// Runs `body` with the lock held and the library started.
  static func locked<T: Sendable>(
    _ location: Location, _ operation: String, _ body: (Call) throws(HDF5Error) -> T
  ) throws(HDF5Error) -> T {
    try lists.withLock { (known) throws(HDF5Error) -> T in
      let ready: PropertyLists
      if let known {
        ckpt_silence()
        ready = known
      } else {
        // Before any other call: each of them starts the library, with an exit handler that complains.
        ready = try PropertyLists.start(location, operation)
        known = ready
      }
      return try body(Call(location: location, operation: operation, lists: ready))
    }
  }

  /// Gives up an id. A failure is of no use to a `deinit`, and an id that went with its closed file is no failure.
  static func release(_ id: Int64) {
    lists.withLock { _ in
      ckpt_silence()
      if H5Idec_ref(id) < 0 { H5Eclear2(ckpt_default_stack()) }
    }
  }
}

/// One locked sequence of calls: turns their failures into errors that name file, object and operation.
struct Call {
  let location: Location
  let operation: String
  let lists: PropertyLists

  /// The id that a call returned, or the error that it left.
  func id(_ value: hid_t) throws(HDF5Error) -> hid_t {
    guard value >= 0 else { throw failure() }
    return value
  }

  func check(_ status: herr_t) throws(HDF5Error) {
    guard status >= 0 else { throw failure() }
  }

  /// The error of the call that has just failed.
  func failure() -> HDF5Error {
    let stack = ErrorStack.take()
    // Else it would be "invalid group ID", which is no help.
    if location.id >= 0, H5Iis_valid(location.id) <= 0 { return error(.other, "the file has been closed") }
    return error(stack.kind, stack.reason)
  }

  func error(_ kind: HDF5Error.Kind, _ reason: String) -> HDF5Error {
    location.error(kind, operation, reason)
  }
}

/// Property lists made once, since making one costs as much as creating a dataset's header.
struct PropertyLists: Sendable {
  /// UTF-8 link names.
  let link: Int64
  /// UTF-8 attribute names.
  let attribute: Int64
  let group: Int64
  /// Contiguous, allocated at once, never filled.
  let contiguous: Int64
  /// The type that a reference to variable-length text is read as.
  let reference: Int64

  fileprivate static func start(_ location: Location, _ operation: String) throws(HDF5Error) -> PropertyLists {
    guard ckpt_start() >= 0 else { throw location.error(.other, operation, "the HDF5 library did not start") }
    // After the library's start, since that sets the switch of this thread again.
    ckpt_silence()
    let link = H5Pcreate(ckpt_class_link_create())
    let attribute = H5Pcreate(ckpt_class_attribute_create())
    let group = H5Pcreate(ckpt_class_group_create())
    let contiguous = H5Pcreate(ckpt_class_dataset_create())
    let reference = ckpt_make_reference_type()
    guard
      reference >= 0,
      H5Pset_char_encoding(link, H5T_CSET_UTF8) >= 0, H5Pset_char_encoding(attribute, H5T_CSET_UTF8) >= 0,
      setGroupOrder(group), setObjectProfile(group), setObjectProfile(contiguous), setEarlyUnfilled(contiguous)
    else {
      let stack = ErrorStack.take()
      throw location.error(.other, operation, stack.reason)
    }
    return PropertyLists(
      link: link, attribute: attribute, group: group, contiguous: contiguous, reference: reference)
  }

  /// Links and attributes remember the order of their creation.
  static func setGroupOrder(_ list: hid_t) -> Bool {
    H5Pset_link_creation_order(list, ckpt_order_tracked() | ckpt_order_indexed()) >= 0
  }

  /// What groups and datasets share: ordered attributes in the object header, and no times (equal input, equal bytes).
  static func setObjectProfile(_ list: hid_t) -> Bool {
    // Dense attribute storage costs 2 KiB an object; up to 64 attributes stay in the header.
    H5Pset_attr_phase_change(list, 64, 48) >= 0
      && H5Pset_attr_creation_order(list, ckpt_order_tracked() | ckpt_order_indexed()) >= 0
      && H5Pset_obj_track_times(list, false) >= 0
  }

  private static func setEarlyUnfilled(_ list: hid_t) -> Bool {
    H5Pset_layout(list, H5D_CONTIGUOUS) >= 0 && H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) >= 0
      && H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0
  }
}
