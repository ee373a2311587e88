internal import CHDF5

extension Dataset {
  /// How the data lies in the file.
  public enum Layout: Equatable, Sendable {
    /// In the object header itself.
    case compact
    /// One block.
    case contiguous
    /// Blocks of those dimensions.
    case chunked([Int])
    /// Pieces of other datasets, possibly of other files.
    case virtual
  }

  /// A step of the pipeline that chunks go through when they are written.
  public struct Filter: Equatable, Sendable {
    /// The registered number: 1 deflate, 2 shuffle, 3 fletcher32.
    public let id: Int
    /// The name that the file gives it; it may be empty.
    public let name: String
  }

  public var layout: Layout {
    get throws(HDF5Error) {
      try withCreationList("read layout") { (call, list) throws(HDF5Error) in try call.layout(list) }
    }
  }

  /// Filters in the order of writing.
  public var filters: [Filter] {
    get throws(HDF5Error) {
      try withCreationList("read filters") { (call, list) throws(HDF5Error) in try call.filters(list) }
    }
  }

  /// Number of other files that hold the data.
  public var externalFileCount: Int {
    get throws(HDF5Error) {
      try withCreationList("count external files") { (call, list) throws(HDF5Error) in
        try call.externalFileCount(list)
      }
    }
  }

  private func withCreationList<T: Sendable>(
    _ operation: String, _ body: (Call, hid_t) throws(HDF5Error) -> T
  ) throws(HDF5Error) -> T {
    try Library.locked(location, operation) { (call) throws(HDF5Error) in
      try call.withCreationList(location.id) { (list) throws(HDF5Error) in try body(call, list) }
    }
  }
}

extension Call {
  func withCreationList<T>(_ dataset: hid_t, _ body: (hid_t) throws(HDF5Error) -> T) throws(HDF5Error) -> T {
    let list = try id(H5Dget_create_plist(dataset))
    defer { H5Pclose(list) }
    return try body(list)
  }

  func layout(_ list: hid_t) throws(HDF5Error) -> Dataset.Layout {
    switch H5Pget_layout(list) {
    case H5D_COMPACT: return .compact
    case H5D_CONTIGUOUS: return .contiguous
    case H5D_CHUNKED: return .chunked(try chunkDimensions(list))
    case H5D_VIRTUAL: return .virtual
    default: throw failure()
    }
  }

  private func chunkDimensions(_ list: hid_t) throws(HDF5Error) -> [Int] {
    var extents = [hsize_t](repeating: 0, count: Int(ckpt_max_rank()))
    let rank = H5Pget_chunk(list, Int32(extents.count), &extents)
    try check(rank)
    return extents.prefix(Int(rank)).map { Int(clamping: $0) }
  }

  func filters(_ list: hid_t) throws(HDF5Error) -> [Dataset.Filter] {
    try pipeline(list).map(\.filter)
  }

  /// The filters, each with its first parameter: for shuffle, the size of an element.
  func pipeline(_ list: hid_t) throws(HDF5Error) -> [(filter: Dataset.Filter, parameter: Int)] {
    let count = H5Pget_nfilters(list)
    guard count >= 0 else { throw failure() }
    var filters: [(Dataset.Filter, Int)] = []
    for index in 0..<count {
      var flags: UInt32 = 0
      var valueCount = 1
      var value: UInt32 = 0
      var name = [CChar](repeating: 0, count: 257)
      let filter = H5Pget_filter2(list, UInt32(index), &flags, &valueCount, &value, 256, &name, nil)
      guard filter >= 0 else { throw failure() }
      let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      filters.append((Dataset.Filter(id: Int(filter), name: String(decoding: bytes, as: UTF8.self)), Int(value)))
    }
    return filters
  }

  func externalFileCount(_ list: hid_t) throws(HDF5Error) -> Int {
    let count = H5Pget_external_count(list)
    try check(count)
    return Int(count)
  }
}
