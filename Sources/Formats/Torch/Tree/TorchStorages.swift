import Checkpoint

/// Where a container keeps the storages that its pickle names.
protocol StorageContainer: Sendable {
  /// How many places there are.
  var count: Int { get }
  /// The place of a key, or nil.
  func place(of key: String) -> Int?
  func byteCount(at place: Int) -> Int
  func source(at place: Int) throws(CheckpointError) -> any ByteSource
  /// What errors call the place of a key: `record data/0`.
  func name(of key: String) -> String
}

/// The records `data/<key>` of an archive, or those of another folder.
struct ZipStorages: StorageContainer {
  let archive: ZipArchive
  let verify: Bool
  var folder = "data"

  var count: Int { archive.entries.count }
  func place(of key: String) -> Int? {
    folder == "data" ? archive.storageIndex(key) : archive.place(of: "\(folder)/\(key)")
  }
  func byteCount(at place: Int) -> Int { archive.entries[place].size }
  func name(of key: String) -> String { "record \(folder)/\(key)" }

  func source(at place: Int) throws(CheckpointError) -> any ByteSource {
    try archive.source(archive.entries[place], verify: verify)
  }
}

/// The storages of one container, each found once, and the views that tensors have of them.
struct TorchStorages {
  /// Which part of a storage a tensor shows. Equal views share one source: that is what makes tensors tied.
  private struct View: Hashable {
    var storage: Int
    var dtype: DType
    /// Of the first byte.
    var start: Int
    var shape: [Int]
    var strides: [Int]
    var flags: Int
  }

  private struct Slice: Hashable {
    var storage: Int
    var range: Range<Int>
  }

  private struct Storage {
    var type: TorchTypes.Storage
    var source: any ByteSource
    /// The storage that this is a part of, from byte `start`; its own number where it is none's.
    var root: Int
    var start = 0
  }

  private struct OtherType: Hashable {
    var place: Int
    var type: TorchTypes.Storage
  }

  private let container: any StorageContainer
  private let salvages: Bool
  private let bigEndian: Bool
  private var storages: [Storage] = []
  /// The storage of each place of the container; -1 where none was asked for.
  private var byPlace: [Int]
  /// The storages of places that are named as more than one type, under all types but the first.
  private var otherTypes: [OtherType: Int] = [:]
  private var lostKeys: [String: Int] = [:]
  private var views: [View: any ByteSource] = [:]
  private var slices: [Slice: any ByteSource] = [:]
  /// Storages that are parts of others, by the whole and the bytes of it.
  private var parts: [Slice: Int] = [:]
  /// Bytes that views have beyond their storages (`expand`).
  var expanded = 0

  /// A view may repeat elements (stride 0); this bounds what a small file can grow to by it.
  static let expansionLimit = 4 << 30

  init(_ container: any StorageContainer, bigEndian: Bool = false, salvages: Bool = false) {
    self.container = container
    self.salvages = salvages
    self.bigEndian = bigEndian
    byPlace = Array(repeating: -1, count: container.count)
  }

  /// A storage whose bytes are gone. Each key has one.
  private mutating func lost(_ key: String, _ type: TorchTypes.Storage, _ bytes: Int) -> Int {
    if let known = lostKeys[key] { return known }
    let place = add(LostSource(bytes, "the \(container.name(of: key))"), type)
    lostKeys[key] = place
    return place
  }

  /// The storage that a persistent id names.
  ///
  /// PyTorch saves bytes that uint8 tensors and those of a type without a storage class share as `ByteStorage` here and
  /// `UntypedStorage` there. Empty storages, which have no address to tell them apart by, may be of any types.
  ///
  /// - Throws: `damaged` when there is no such place, its length is not what the id says, or two ids of one key
  ///   disagree.
  mutating func storage(key: String, type: TorchTypes.Storage, numel: Int) throws(CheckpointError) -> Int {
    let (bytes, overflow) = numel.multipliedReportingOverflow(by: type.itemSize)
    guard let place = container.place(of: key) else {
      guard salvages, numel >= 0, !overflow else {
        throw CheckpointError(.damaged, "the storage's \(container.name(of: key)) is missing from the file")
      }
      return lost(key, type, bytes)
    }
    let size = container.byteCount(at: place)
    guard numel >= 0, !overflow, bytes == size else {
      throw CheckpointError(
        .damaged, "storage of \(numel) x \(type.dtype.rawValue), but the \(container.name(of: key)) has \(size) bytes")
    }
    let known = byPlace[place]
    guard known >= 0 else {
      byPlace[place] = add(try container.source(at: place), type)
      return byPlace[place]
    }
    let first = storages[known]
    if first.type == type { return known }
    guard first.type.dtype == type.dtype || bytes == 0 else {
      throw CheckpointError(
        .damaged, "storage \(key) is of \(type.dtype.rawValue) here and of \(first.type.dtype.rawValue) elsewhere")
    }
    let other = OtherType(place: place, type: type)
    if let known = otherTypes[other] { return known }
    let added = add(first.source, type)
    otherTypes[other] = added
    return added
  }

  /// A storage that comes from elsewhere.
  mutating func add(_ source: any ByteSource, _ type: TorchTypes.Storage) -> Int {
    storages.append(Storage(type: type, source: source, root: storages.count))
    return storages.count - 1
  }

  /// A part of a storage that is named as a storage itself (until PyTorch 0.4). Tensors of the part and of the whole
  /// that show the same bytes are tied.
  ///
  /// - Parameters:
  ///   - offset: in elements of the whole.
  ///   - count: in elements.
  /// - Throws: `damaged` when the part leaves the whole.
  mutating func part(of storage: Int, offset: Int, count: Int) throws(CheckpointError) -> Int {
    let whole = storages[storage]
    let elements = whole.source.byteCount / whole.type.itemSize
    guard offset >= 0, count >= 0, offset <= elements, count <= elements - offset else {
      throw CheckpointError(
        .damaged, "a view of \(count) elements from \(offset) of a storage that holds \(elements) elements")
    }
    if count == elements { return storage }
    let size = whole.type.itemSize
    let range = (offset * size)..<((offset + count) * size)
    let key = Slice(storage: storage, range: range)
    if let known = parts[key] { return known }
    let source = try slice(storage, range)
    let start = whole.start + range.lowerBound
    storages.append(Storage(type: whole.type, source: source, root: whole.root, start: start))
    parts[key] = storages.count - 1
    return storages.count - 1
  }

  func type(_ storage: Int) -> TorchTypes.Storage { storages[storage].type }

  /// All bytes of a storage, as the container has them.
  func source(_ storage: Int) -> any ByteSource { storages[storage].source }

  func byteCount(_ storage: Int) -> Int { storages[storage].source.byteCount }

  /// The bytes that a tensor shows of a storage, in row-major order.
  ///
  /// - Throws: `damaged` when any element lies outside the storage.
  mutating func source(
    _ storage: Int, dtype: DType, offset: Int, shape: [Int], strides: [Int], conjugated: Bool, negated: Bool
  ) throws(CheckpointError) -> any ByteSource {
    guard shape.count <= 64 else {
      throw CheckpointError(.damaged, "a tensor of \(shape.count) dimensions; PyTorch has at most 64")
    }
    let itemSize = dtype.itemSize ?? 1
    let base = storages[storage].source
    let last = try StridedSource.lastElement(offset: offset, shape: shape, strides: strides)
    let count = elementCount(of: shape) ?? 0
    guard count == 0 || last < base.byteCount / itemSize else {
      throw CheckpointError(
        .damaged,
        "size \(shape), stride \(strides), offset \(offset): the last element is number \(last) of a storage "
          + "of \(base.byteCount / itemSize)")
    }
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: itemSize)
    guard !overflow else { throw CheckpointError(.damaged, "size \(shape) is too large") }
    let swapped = bigEndian && dtype.wordSize > 1
    if Self.isContiguous(shape, strides) || count == 0, !swapped, !conjugated, !negated {
      let start = count == 0 ? 0 : offset * itemSize
      return try slice(storage, start..<(start + byteCount))
    }
    let flags = (conjugated ? 1 : 0) | (negated ? 2 : 0)
    let start = count == 0 ? 0 : storages[storage].start + offset * itemSize
    let view = View(
      storage: storages[storage].root, dtype: dtype, start: start, shape: shape, strides: strides, flags: flags)
    if let known = views[view] { return known }
    try spend(byteCount - base.byteCount)
    let fixes = StridedSource.Fixes(swapped: swapped, conjugated: conjugated, negated: negated)
    let made = try StridedSource(base, dtype: dtype, offset: offset, shape: shape, strides: strides, fixes: fixes)
    views[view] = made
    return made
  }

  private mutating func slice(_ storage: Int, _ range: Range<Int>) throws(CheckpointError) -> any ByteSource {
    let (root, start) = (storages[storage].root, storages[storage].start)
    let base = storages[root].source
    let range = (range.lowerBound + start)..<(range.upperBound + start)
    if range.count == base.byteCount { return base }
    let key = Slice(storage: root, range: range)
    if let known = slices[key] { return known }
    let made = try SliceSource(base, range: range)
    slices[key] = made
    return made
  }

  private mutating func spend(_ bytes: Int) throws(CheckpointError) {
    guard bytes > 0 else { return }
    guard bytes <= Self.expansionLimit - expanded else {
      throw CheckpointError(
        .damaged, "expanded views of small storages take more than \(Self.expansionLimit >> 30) GiB",
        advice: "A file that grows so much is most likely hostile; clone() the tensor before saving if it is not.")
    }
    expanded += bytes
  }

  /// Whether the elements lie in row-major order without gaps. The stride of a dimension of one element says nothing.
  private static func isContiguous(_ shape: [Int], _ strides: [Int]) -> Bool {
    var expected = 1
    var index = shape.count
    while index > 0 {
      index -= 1
      if shape[index] == 1 { continue }
      if strides[index] != expected { return false }
      expected = expected &* shape[index]
    }
    return true
  }
}
