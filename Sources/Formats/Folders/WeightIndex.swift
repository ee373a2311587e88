import Checkpoint

/// `*.index.json`, which says in which of several files each tensor is (Hugging Face).
struct WeightIndex {
  /// The index's own name.
  let name: String
  /// The files, in the order in which they are met.
  private(set) var files: [String] = []
  private(set) var owners: [Key: String] = [:]
  private(set) var names: [String] = []
  /// What makes a whole checkpoint of the set, where ckpt wrote it.
  private(set) var rest: String?

  /// - Throws: `damaged` for what is no index, and for names that lead out of the folder.
  init(_ name: String, in folder: PartsFolder) throws(CheckpointError) {
    self.name = name
    let file = try folder.map(name)
    defer { withExtendedLifetime(file) {} }
    do throws(CheckpointError) {
      try read(JSONScanner(file.bytes), folder)
    } catch {
      throw error.inFile(file.path)
    }
  }

  private mutating func read(_ scanner: JSONScanner, _ folder: PartsFolder) throws(CheckpointError) {
    var scanner = scanner
    var hasMap = false
    try scanner.beginObject()
    var first = true
    while let field = try scanner.nextKey(of: ["weight_map", "metadata"], first: &first) {
      if field == 0, !hasMap {
        hasMap = true
        try readMap(&scanner, folder)
      } else if field == 1, try scanner.peek() == .object {
        try readMetadata(&scanner)
      } else {
        try scanner.skipValue()
      }
    }
    try scanner.end()
    guard hasMap else { throw CheckpointError(.damaged, "an index without its 'weight_map'") }
    let missing = files.filter { !folder.has($0) }
    guard missing.isEmpty else {
      let shown = listed(missing, most: 5)
      let lost = Set(missing.map(Key.string))
      let tensors = names.filter { owners[.string($0)].map { lost.contains(.string($0)) } ?? false }.count
      throw CheckpointError(
        .damaged, "\(missing.count) of \(files.count) files missing: \(shown), with \(tensors) tensors",
        advice: "Copy all files of the folder.")
    }
  }

  private mutating func readMap(_ scanner: inout JSONScanner, _ folder: PartsFolder) throws(CheckpointError) {
    var known: Set<Key> = []
    try scanner.beginObject()
    var first = true
    while let tensor = try scanner.nextKey(first: &first) {
      let file = try scanner.string()
      guard owners.updateValue(file, forKey: .string(tensor)) == nil else {
        throw CheckpointError(.damaged, "the tensor '\(tensor)' comes twice")
      }
      names.append(tensor)
      guard known.insert(.string(file)).inserted else { continue }
      try folder.checkName(file)
      files.append(file)
    }
  }

  private mutating func readMetadata(_ scanner: inout JSONScanner) throws(CheckpointError) {
    try scanner.beginObject()
    var first = true
    while let key = try scanner.nextKey(first: &first) {
      if key.hasSameBytes(as: FlatCheckpoint.key), rest == nil, try scanner.peek() == .string {
        rest = try scanner.string()
      } else {
        try scanner.skipValue()
      }
    }
  }
}

extension FolderParts {
  /// The state dict that several files hold together: of PyTorch's files in their order, of safetensors files by name.
  ///
  /// - Throws: `damaged` when a file has not what the index says.
  mutating func weights(_ index: WeightIndex) throws(CheckpointError) -> Value {
    take(index.name, bytes: try folder.map(index.name).count)
    var joined: Dict?
    var found: Set<Key> = []
    for file in index.files {
      guard case .dict(let dict) = try checkpoint(file) else {
        throw CheckpointError(.damaged, "holds no dict of tensors", file: "\(folder.path)/\(file)")
      }
      if joined == nil { joined = Dict([], kind: dict.kind, attributes: dict.attributes) }
      let owned = index.storages(in: dict)
      for entry in dict.entries {
        if let owner = index.owners[entry.key] {
          guard owner.hasSameBytes(as: file) else {
            warn("\(file): has '\(entry.key.text)' too; the index says that it is in \(owner)")
            continue
          }
          found.insert(entry.key)
        } else {
          // A name that stands for another's tensor is in no index.
          if !entry.isTied(to: owned) {
            warn("\(file): has '\(entry.key.text)', which the index does not know")
          }
          guard found.insert(entry.key).inserted else { continue }
        }
        joined?.entries.append(entry)
      }
    }
    if let lost = index.names.first(where: { !found.contains(.string($0)) }) {
      throw CheckpointError(
        .damaged, "the tensor '\(lost)' is not in the file '\(index.owners[.string(lost)] ?? "")', as the index says",
        file: "\(folder.path)/\(index.name)", advice: "The files belong to different checkpoints, or one was replaced.")
    }
    // Each safetensors file sorts its names. So does the whole then, lest its order be taken for the model's.
    if index.name.hasSuffix(".safetensors.index.json") {
      joined?.entries.sort { $0.key.text.utf8.lexicographicallyPrecedes($1.key.text.utf8) }
    }
    // A set of no tensors has no files, and may be a whole checkpoint all the same.
    let root = joined ?? Dict()
    guard let rest = index.rest else { return .dict(root) }
    let named = root.tensors.filter { index.owners[.string($0.name)] != nil }
    do throws(CheckpointError) {
      let whole = try FlatTree.checkpoint(named, rest: Array(rest.utf8))
      recordedDigest = whole.recordedDigest
      return whole.root
    } catch {
      warn("\(index.name): \(FlatTree.warning(error))")
      return .dict(root)
    }
  }
}

extension WeightIndex {
  /// The tensors of a file that have a name in the index.
  fileprivate func storages(in dict: Dict) -> TensorTable {
    var table = TensorTable()
    for entry in dict.entries where owners[entry.key] != nil {
      if case .tensor(let tensor) = entry.value { table.insert(tensor) }
    }
    return table
  }
}

extension Dict.Entry {
  /// Whether it shares its storage with one of the known tensors.
  fileprivate func isTied(to known: TensorTable) -> Bool {
    if case .tensor(let tensor) = value { known.index(of: tensor) != nil } else { false }
  }
}
