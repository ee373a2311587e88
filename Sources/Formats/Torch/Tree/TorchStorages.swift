import Checkpoint

/// The storages of one archive, each found once, and the views that tensors have of them.
struct TorchStorages {
  /// Which part of a storage a tensor shows. Equal views share one source: that is what makes tensors tied.
  private struct View: Hashable {
    var storage: Int
    var dtype: DType
    var offset: Int
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
  }

  private struct OtherType: Hashable {
    var place: Int
    var type: TorchTypes.Storage
  }

  private let archive: ZipArchive
  private let verify: Bool
  private let salvages: Bool
  private let bigEndian: Bool
  private var storages: [Storage] = []
  /// The storage of each record of the archive, by the record's place there; -1 where none was asked for.
  private var byEntry: [Int]
  /// The storages of records that are named as more than one type, under all types but the first.
  private var otherTypes: [OtherType: Int] = [:]
  private var lostKeys: [String: Int] = [:]
  private var views: [View: any ByteSource] = [:]
  private var slices: [Slice: any ByteSource] = [:]
  /// Bytes that views have beyond their storages (`expand`).
  private var expanded = 0

  /// A view may repeat elements (stride 0); this bounds what a small file can grow to by it.
  static let expansionLimit = 4 << 30

  init(_ archive: ZipArchive, bigEndian: Bool, verify: Bool, salvages: Bool = false) {
    self.archive = archive
    self.salvages = salvages
    self.bigEndian = bigEndian
    self.verify = verify
    byEntry = Array(repeating: -1, count: archive.entries.count)
  }

  /// A storage whose record is gone. Each key has one.
  private mutating func lost(_ key: String, _ type: TorchTypes.Storage, _ bytes: Int) -> Int {
    if let known = lostKeys[key] { return known }
    let place = add(Storage(type: type, source: LostSource(bytes, "the record data/\(key)")))
    lostKeys[key] = place
    return place
  }

  /// The storage that a persistent id names.
  ///
  /// PyTorch saves bytes that uint8 tensors and those of a type without a storage class share as `ByteStorage` here and
  /// `UntypedStorage` there. Empty storages, which have no address to tell them apart by, may be of any types.
  ///
  /// - Throws: `damaged` when there is no such record, its length is not what the id says, or two ids of one key
  ///   disagree.
  mutating func storage(key: String, type: TorchTypes.Storage, numel: Int) throws(CheckpointError) -> Int {
    let (bytes, overflow) = numel.multipliedReportingOverflow(by: type.itemSize)
    guard let place = archive.storageIndex(key) else {
      guard salvages, numel >= 0, !overflow else {
        throw CheckpointError(.damaged, "the storage's record data/\(key) is missing from the archive")
      }
      return lost(key, type, bytes)
    }
    let entry = archive.entries[place]
    guard numel >= 0, !overflow, bytes == entry.size else {
      throw CheckpointError(
        .damaged, "storage of \(numel) x \(type.dtype.rawValue), but the record data/\(key) has \(entry.size) bytes")
    }
    let known = byEntry[place]
    guard known >= 0 else {
      byEntry[place] = add(Storage(type: type, source: try archive.source(entry, verify: verify)))
      return byEntry[place]
    }
    let first = storages[known]
    if first.type == type { return known }
    guard first.type.dtype == type.dtype || bytes == 0 else {
      throw CheckpointError(
        .damaged, "storage \(key) is of \(type.dtype.rawValue) here and of \(first.type.dtype.rawValue) elsewhere")
    }
    let other = OtherType(place: place, type: type)
    if let known = otherTypes[other] { return known }
    let added = add(Storage(type: type, source: first.source))
    otherTypes[other] = added
    return added
  }

  private mutating func add(_ storage: Storage) -> Int {
    storages.append(storage)
    return storages.count - 1
  }

  func type(_ storage: Int) -> TorchTypes.Storage { storages[storage].type }

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
    let view = View(storage: storage, dtype: dtype, offset: offset, shape: shape, strides: strides, flags: flags)
    if let known = views[view] { return known }
    try spend(byteCount - base.byteCount)
    let fixes = StridedSource.Fixes(swapped: swapped, conjugated: conjugated, negated: negated)
    let made = try StridedSource(base, dtype: dtype, offset: offset, shape: shape, strides: strides, fixes: fixes)
    views[view] = made
    return made
  }

  private mutating func slice(_ storage: Int, _ range: Range<Int>) throws(CheckpointError) -> any ByteSource {
    let base = storages[storage].source
    if range.count == base.byteCount { return base }
    let key = Slice(storage: storage, range: range)
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
