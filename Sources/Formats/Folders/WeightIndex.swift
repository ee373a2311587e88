import Checkpoint

/// `*.index.json`, which says in which of several files each tensor is (Hugging Face).
struct WeightIndex {
  /// The index's own name.
  let name: String
  /// The files, in the order in which they are met.
  private(set) var files: [String] = []
  private(set) var owners: [Key: String] = [:]
  private(set) var names: [String] = []

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
    var known: Set<Key> = []
    try scanner.beginObject()
    var first = true
    while let field = try scanner.nextKey(of: ["weight_map"], first: &first) {
      guard field == 0, !hasMap else {
        try scanner.skipValue()
        continue
      }
      hasMap = true
      try scanner.beginObject()
      var isFirst = true
      while let tensor = try scanner.nextKey(first: &isFirst) {
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
    try scanner.end()
    guard hasMap else { throw CheckpointError(.damaged, "an index without its 'weight_map'") }
    let missing = files.filter { !folder.has($0) }
    guard missing.isEmpty else {
      let shown = listed(missing, most: 5)
      let tensors = names.filter { owners[.string($0)].map { missing.contains($0) } ?? false }.count
      throw CheckpointError(
        .damaged, "\(missing.count) of \(files.count) files missing: \(shown), with \(tensors) tensors",
        advice: "Copy all files of the folder.")
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
      for entry in dict.entries {
        if let owner = index.owners[entry.key] {
          guard owner.hasSameBytes(as: file) else {
            warn("\(file): has '\(entry.key.text)' too; the index says that it is in \(owner)")
            continue
          }
          found.insert(entry.key)
        } else {
          warn("\(file): has '\(entry.key.text)', which the index does not know")
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
    return .dict(joined ?? Dict())
  }
}
