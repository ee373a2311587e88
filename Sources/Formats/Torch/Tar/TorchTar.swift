import Checkpoint

/// What a persistent id of a tar archive names.
enum NumberedThing: Sendable {
  /// A number of `TorchStorages`.
  case storage(Int)
  case tensor(Tensor)
}

extension TorchTree {
  /// What a persistent id that is a number names; nil in files whose ids are no numbers.
  func numberedThing(_ id: Int32) throws(CheckpointError) -> NumberedThing? {
    guard let numbered else { return nil }
    let text = try string(id, "a persistent id")
    guard let number = Int(text), let thing = numbered[number] else {
      throw CheckpointError(.damaged, "the persistent id \(text) names no storage and no tensor")
    }
    return thing
  }
}

/// What PyTorch 0.1 wrote: a tar archive of `sys_info`, `pickle`, `tensors` and `storages`. (PyTorch 2.13 still reads
/// it: `legacy_load` in `torch/serialization.py`.)
struct TorchTar {
  let file: MappedFile
  private let archive: TarArchive
  private let bytes: UnsafeRawBufferPointer
  private(set) var storageCount = 0

  /// The caller keeps `file` for as long as this is used.
  init(_ file: MappedFile) throws(CheckpointError) {
    self.file = file
    bytes = file.bytes
    archive = try TarArchive(bytes)
  }

  mutating func read() throws(CheckpointError) -> Checkpoint {
    var sequence = try member("pickle").sequence
    let (pickle, range) = try sequence.next("the object")
    let start = try member("pickle").range.lowerBound
    let origin = try MappedRange(file, range: (start + range.lowerBound)..<(start + range.upperBound))
    var tree = try TorchTree(
      pickle, bytes: UnsafeRawBufferPointer(rebasing: bytes[origin.range]), origin: origin,
      storages: TorchStorages(NoStorages()))
    tree.numbered = [:]
    try readSystem()
    do throws(CheckpointError) { try readStorages(&tree) } catch { throw error.at("member storages") }
    do throws(CheckpointError) { try readTensors(&tree) } catch { throw error.at("member tensors") }
    var result = Checkpoint(root: .none)
    do throws(CheckpointError) { result.root = try tree.root() } catch { throw error.at("member pickle") }
    result.warnings = warnings + tree.warnings
    return result
  }

  private var warnings: [String] {
    var result: [String] = []
    if !archive.hasEnd { result.append("the archive has no end mark; its end may have been cut off") }
    let others = archive.names.filter { !["sys_info", "pickle", "tensors", "storages"].contains($0) }
    if !others.isEmpty { result.append("\(others.count) other members of the archive are left out") }
    return result
  }

  private func member(_ name: String) throws(CheckpointError) -> (sequence: PickleSequence, range: Range<Int>) {
    guard let range = archive[name] else {
      throw CheckpointError(.damaged, "the archive has no member \(name), as PyTorch 0.1's files have")
    }
    return (PickleSequence(UnsafeRawBufferPointer(rebasing: bytes[range])), range)
  }

  /// `sys_info` says the machine's byte order, but the elements are little-endian on all.
  private func readSystem() throws(CheckpointError) {
    guard archive["sys_info"] != nil else { return }
    var sequence = try member("sys_info").sequence
    guard case .dict = try sequence.nextValue("member sys_info") else {
      throw CheckpointError(.damaged, "sys_info is no dict")
    }
  }

  /// A count; as many times (key, location, type), a count of elements and the elements; the storages' views.
  private mutating func readStorages(_ tree: inout TorchTree) throws(CheckpointError) {
    var (sequence, range) = try member("storages")
    for _ in 0..<(try count(&sequence)) {
      let entry = try sequence.nextTree("a storage")
      let parts = try entry.arguments(entry.pickle.root, atLeast: 3, of: "a storage")
      let key = try entry.int(parts[0], "a storage's key")
      guard case .storage(let type) = entry.known(parts[2]) else {
        throw CheckpointError(.unsupported, "storage \(key) of an unknown type")
      }
      let numel = Int(try sequence.number(Int64.self, "storage \(key)"))
      let (size, overflow) = numel.multipliedReportingOverflow(by: type.itemSize)
      guard numel >= 0, !overflow else { throw CheckpointError(.damaged, "storage \(key) of \(numel) elements") }
      let place = try sequence.skip(size, "storage \(key)")
      let start = range.lowerBound
      let source = try MappedRange(file, range: (start + place.lowerBound)..<(start + place.upperBound))
      try name(key, .storage(tree.storages.add(source, type)), in: &tree)
      storageCount += 1
    }
    guard case .sequence(.list, let views) = try sequence.nextValue("the list of storage views") else {
      throw CheckpointError(.damaged, "the storage views are no list")
    }
    for view in views { try addView(view, &tree) }
  }

  /// (target key, root key, offset, count)
  private func addView(_ view: Value, _ tree: inout TorchTree) throws(CheckpointError) {
    guard case .sequence(.tuple, let parts) = view, parts.count == 4, case .int(let target) = parts[0],
      case .int(let root) = parts[1], case .int(let offset) = parts[2], case .int(let count) = parts[3],
      case .storage(let whole) = tree.numbered?[Int(root)]
    else { throw CheckpointError(.damaged, "a storage view that is none") }
    let part = try tree.storages.part(of: whole, offset: Int(offset), count: Int(count))
    try name(Int(target), .storage(part), in: &tree)
  }

  /// A count; as many times (key, storage, type), the rank (int32, then four bytes of nothing), sizes, strides, offset.
  private func readTensors(_ tree: inout TorchTree) throws(CheckpointError) {
    var (sequence, _) = try member("tensors")
    for _ in 0..<(try count(&sequence)) {
      let entry = try sequence.nextTree("a tensor")
      let parts = try entry.arguments(entry.pickle.root, atLeast: 3, of: "a tensor")
      let key = try entry.int(parts[0], "a tensor's key")
      guard case .storage(let storage) = tree.numbered?[try entry.int(parts[1], "a tensor's storage")] else {
        throw CheckpointError(.damaged, "tensor \(key) of a storage that is not there")
      }
      let type = tree.storages.type(storage)
      if case .legacyTensor(let dtype) = entry.known(parts[2]), dtype != type.dtype {
        throw CheckpointError(
          .damaged, "tensor \(key) of \(dtype.rawValue) over a storage of \(type.dtype.rawValue)")
      }
      guard type.dtype.itemSize != nil else { throw CheckpointError(.unsupported, "tensor \(key) of a packed type") }
      let rank = Int(try sequence.number(Int32.self, "tensor \(key)"))
      guard rank >= 0, rank <= 64 else {
        throw CheckpointError(.damaged, "tensor \(key) of \(rank) dimensions; PyTorch has at most 64")
      }
      _ = try sequence.skip(4, "tensor \(key)")
      let shape = try integers(rank, &sequence)
      let strides = try integers(rank, &sequence)
      let offset = try integers(1, &sequence)[0]
      do throws(CheckpointError) {
        let tensor = try tree.view(storage, type.dtype, offset: offset, shape: shape, strides: strides)
        try name(key, .tensor(tensor), in: &tree)
      } catch {
        throw error.at("tensor \(key)")
      }
    }
  }

  private func integers(_ count: Int, _ sequence: inout PickleSequence) throws(CheckpointError) -> [Int] {
    var result: [Int] = []
    for _ in 0..<count { result.append(Int(try sequence.number(Int64.self, "a tensor"))) }
    return result
  }

  /// The pickled number of entries. Each takes more than a byte, so the number can be held against what is left.
  private func count(_ sequence: inout PickleSequence) throws(CheckpointError) -> Int {
    guard case .int(let count) = try sequence.nextValue("the number of entries"), count >= 0,
      count <= sequence.remaining
    else { throw CheckpointError(.damaged, "a number of entries that cannot be") }
    return Int(count)
  }

  private func name(_ key: Int, _ thing: NumberedThing, in tree: inout TorchTree) throws(CheckpointError) {
    guard tree.numbered?.updateValue(thing, forKey: key) == nil else {
      throw CheckpointError(.damaged, "the key \(key) is there twice")
    }
  }
}
