import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder that PyTorch's `HuggingFaceStorageWriter` wrote: safetensors files, each of which says in its metadata
/// where in the whole tensors its tensors lie. Nothing records how large those are, so that is what the parts add up to.
struct SafetensorsParts {
  let folder: PartsFolder
  private(set) var bytes = 0
  private var order: [String] = []
  private var tensors: [Key: (item: DCPMetadata.TensorItem, sources: [any ByteSource])] = [:]
  /// The names in each file.
  private var names: [Key: Set<Key>] = [:]

  /// The key under which a file says where its tensors lie.
  private static let key: StaticString = "DCP_SHARDING_INFO"

  /// Where in a folder the files are: in it, or (before they were joined) in `sharded` below it; nil where none are.
  static func place(in path: String) -> String? {
    if hasFiles(path, mustTell: true) { return path }
    let below = path + "/sharded"
    var status = stat()
    guard lstat(below, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, hasFiles(below, mustTell: true) else {
      return nil
    }
    // What was joined is whole.
    return hasFiles(path, mustTell: false) ? path : below
  }

  private static func hasFiles(_ path: String, mustTell: Bool) -> Bool {
    guard let first = PartsFolder.names(in: path)?.first(where: { $0.hasSuffix(".safetensors") }) else { return false }
    if !mustTell { return true }
    return (try? FileStart("\(path)/\(first)"))?.contains(key) ?? false
  }

  /// - Throws: `damaged` where files, or parts of tensors, are missing or overlap.
  init(_ path: String) throws(CheckpointError) {
    folder = try PartsFolder(path)
    for name in folder.names where name.hasSuffix(".safetensors") {
      // Before anything is read of it: the file must be one, and in the folder.
      bytes += try folder.map(name).count
      let file = "\(path)/\(name)"
      guard case .dict(let dict) = try SafetensorsFile.read(file).root else { continue }
      do throws(CheckpointError) { try add(dict, file: name) } catch { throw error.inFile(file) }
    }
    try checkIndex()
  }

  private mutating func add(_ dict: Dict, file: String) throws(CheckpointError) {
    let info = try Self.offsets(dict)
    var inFile: Set<Key> = []
    for entry in dict.entries {
      guard case .string(let name) = entry.key, case .tensor(let tensor) = entry.value else { continue }
      inFile.insert(entry.key)
      do throws(CheckpointError) {
        let offsets = info?[entry.key] ?? Array(repeating: 0, count: tensor.shape.count)
        guard info == nil || info?[entry.key] != nil else {
          throw CheckpointError(.damaged, "the file does not say where in the whole tensor this part lies")
        }
        try add(tensor, name, offsets)
      } catch {
        throw error.at(name)
      }
    }
    names[.string(file)] = inFile
  }

  private mutating func add(_ tensor: Tensor, _ name: String, _ offsets: [Int]) throws(CheckpointError) {
    guard offsets.count == tensor.shape.count else {
      throw CheckpointError(.damaged, "a part of \(tensor.shape.count) dimensions with an offset of \(offsets.count)")
    }
    var ends: [Int] = []
    for (offset, size) in zip(offsets, tensor.shape) {
      let (end, overflow) = offset.addingReportingOverflow(size)
      guard offset >= 0, !overflow else {
        throw CheckpointError(.damaged, "a part at the impossible offset \(offsets)")
      }
      ends.append(end)
    }
    let chunk = DCPMetadata.Chunk(offsets: offsets, sizes: tensor.shape)
    let key = Key.string(name)
    guard var known = tensors[key] else {
      order.append(name)
      tensors[key] = (DCPMetadata.TensorItem(dtype: tensor.dtype, shape: ends, chunks: [chunk]), [tensor.source])
      return
    }
    guard known.item.dtype == tensor.dtype, known.item.shape.count == ends.count else {
      throw CheckpointError(
        .damaged,
        "is \(tensor.dtype.rawValue) of \(ends.count) dimensions here, and \(known.item.dtype.rawValue) of "
          + "\(known.item.shape.count) in another file")
    }
    known.item.shape = zip(known.item.shape, ends).map(max)
    known.item.chunks.append(chunk)
    known.sources.append(tensor.source)
    tensors[key] = known
  }

  /// `{"name": {"saved_offsets": [0, 8]}}`, or nil where the file has whole tensors.
  private static func offsets(_ dict: Dict) throws(CheckpointError) -> [Key: [Int]]? {
    guard case .dict(let metadata)? = dict.attributes.first(where: { $0.name == "__metadata__" })?.value,
      case .string(let text)? = metadata["\(key)"]
    else { return nil }
    var offsets: [Key: [Int]] = [:]
    try BufferSource(Array(text.utf8)).withBytes { (bytes) throws(CheckpointError) in
      var scanner = JSONScanner(bytes)
      do throws(CheckpointError) {
        try scanner.beginObject()
        var first = true
        while let name = try scanner.nextKey(first: &first) {
          guard let place = try place(&scanner) else { continue }
          guard offsets.updateValue(place, forKey: .string(name)) == nil else {
            throw CheckpointError(.damaged, "the name '\(name)' comes twice")
          }
        }
        try scanner.end()
      } catch {
        throw error.at("\(key)")
      }
    }
    return offsets
  }

  private static func place(_ scanner: inout JSONScanner) throws(CheckpointError) -> [Int]? {
    var numbers: [Int]?
    try scanner.beginObject()
    var first = true
    while let field = try scanner.nextKey(of: ["saved_offsets"], first: &first) {
      guard field == 0, numbers == nil else {
        try scanner.skipValue()
        continue
      }
      try scanner.beginArray()
      var isFirst = true
      var found: [Int] = []
      while try scanner.nextElement(first: &isFirst) {
        guard found.count < 64 else { throw CheckpointError(.damaged, "an offset of more than 64 dimensions") }
        found.append(try scanner.int())
      }
      numbers = found
    }
    return numbers
  }

  /// The index of joined files says which tensor is in which file.
  private func checkIndex() throws(CheckpointError) {
    let name = "model.safetensors.index.json"
    guard folder.has(name) else { return }
    let index = try WeightIndex(name, in: folder)
    for tensor in index.names {
      guard let owner = index.owners[.string(tensor)], names[.string(owner)]?.contains(.string(tensor)) ?? false else {
        throw CheckpointError(
          .damaged, "the tensor '\(tensor)' is not in the file '\(index.owners[.string(tensor)] ?? "")'",
          file: "\(folder.path)/\(name)")
      }
    }
  }

  /// The tree: a dict of whole tensors.
  func root() throws(CheckpointError) -> Value {
    var entries: [Dict.Entry] = []
    entries.reserveCapacity(order.count)
    for name in order {
      guard let (item, sources) = tensors[.string(name)] else { continue }
      do throws(CheckpointError) {
        try ChunkCover.check(item)
        let parts = zip(item.chunks, sources).filter { !$0.0.isEmpty }
        let tensor = try Tensor(
          dtype: item.dtype, shape: item.shape,
          parts: parts.map { (offsets: $0.offsets, sizes: $0.sizes, source: $1) })
        entries.append(Dict.Entry(.string(name), .tensor(tensor)))
      } catch {
        throw error.at(name).inFile(folder.path)
      }
    }
    return .dict(Dict(entries))
  }
}
