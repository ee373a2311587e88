import Checkpoint

/// The storages at the end of a legacy stream: for each key of a list a count (int64) and that many elements.
///
/// How wide an element is only the object's persistent ids say, so these are looked through first.
struct LegacyStorages: StorageContainer {
  private let source: any ByteSource
  private var places: [Key: Int] = [:]
  private var ranges: [Range<Int>] = []

  var count: Int { ranges.count }
  func place(of key: String) -> Int? { places[.string(key)] }
  func byteCount(at place: Int) -> Int { ranges[place].count }
  func name(of key: String) -> String { "storage \(key)" }

  func source(at place: Int) throws(CheckpointError) -> any ByteSource { try part(of: source, ranges[place]) }

  /// A storage as a persistent id declares it.
  private struct Declared {
    var type: TorchTypes.Storage
    var numel: Int
  }

  /// Finds the storages; reads none of them.
  ///
  /// - Parameters:
  ///   - source: the whole stream.
  ///   - sequence: the stream after the object's pickle.
  ///   - object: the object's pickle.
  ///   - bigEndian: a big-endian machine wrote the stream. The elements are little-endian all the same; the counts were
  ///     not, before PyTorch 1.4.
  init(
    _ source: any ByteSource, _ sequence: inout PickleSequence, object: TorchTree, bigEndian: Bool
  ) throws(CheckpointError) {
    self.source = source
    let declared = try Self.declared(by: object)
    guard case .sequence(.list, let keys) = try sequence.nextValue("the list of storage keys") else {
      throw CheckpointError(.damaged, "the storage keys are no list")
    }
    ranges.reserveCapacity(keys.count)
    for item in keys {
      guard case .string(let key) = item, let storage = declared[.string(key)] else {
        throw CheckpointError(.damaged, "the list of storage keys has a key that the object does not name")
      }
      guard places.updateValue(ranges.count, forKey: .string(key)) == nil else {
        throw CheckpointError(.damaged, "the list of storage keys has \(key) twice")
      }
      ranges.append(try Self.range(of: key, storage, &sequence, bigEndian: bigEndian))
    }
  }

  private static func range(
    of key: String, _ storage: Declared, _ sequence: inout PickleSequence, bigEndian: Bool
  ) throws(CheckpointError) -> Range<Int> {
    let count = Int(try sequence.number(Int64.self, "storage \(key)"))
    guard count == storage.numel || bigEndian && count.byteSwapped == storage.numel else {
      throw CheckpointError(
        .damaged, "storage \(key) has \(count) elements, but the object says \(storage.numel)",
        place: "offset \(sequence.offset - 8)")
    }
    let (size, overflow) = storage.numel.multipliedReportingOverflow(by: storage.type.itemSize)
    guard storage.numel >= 0, !overflow else {
      throw CheckpointError(.damaged, "storage \(key) of \(storage.numel) elements: negative or too large")
    }
    return try sequence.skip(size, "storage \(key)")
  }

  /// What the persistent ids say, by key. Of two that disagree the first counts; whoever uses the second is told.
  private static func declared(by object: TorchTree) throws(CheckpointError) -> [Key: Declared] {
    var result: [Key: Declared] = [:]
    for node in object.pickle.nodes {
      guard case .persistent(let id) = node else { continue }
      let parts = try object.arguments(id, atLeast: 5, of: "a persistent id")
      guard case .storage(let type) = object.known(parts[1]) else {
        throw CheckpointError(.unsupported, "a storage of an unknown type")
      }
      let key = Key.string(try object.string(parts[2], "a storage's key"))
      let numel = try object.int(parts[4], "a storage's number of elements")
      if result[key] == nil { result[key] = Declared(type: type, numel: numel) }
    }
    return result
  }
}
