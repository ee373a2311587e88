import Checkpoint

/// A distributed checkpoint's folder that was opened: its metadata, and its files mapped.
struct DCPCheckpoint {
  let folder: PartsFolder
  let metadata: DCPMetadata
  let verify: Bool
  /// The files that parts lie in, by name.
  private(set) var files: [Key: MappedFile] = [:]
  /// What those of them hold that are safetensors files (`SerializationFormat.SAFETENSORS`): there the metadata's places
  /// say nothing, and parts are found by name.
  private var safetensors: [Key: Dict] = [:]
  private(set) var warnings: [String] = []
  private(set) var bytes = 0

  /// - Throws: `damaged` for a save that was not finished, and for metadata that cannot be.
  init(_ path: String, verify: Bool) throws(CheckpointError) {
    folder = try PartsFolder(path)
    self.verify = verify
    if folder.has(".metadata") {
      metadata = try Self.read(".metadata", in: folder, size: &bytes)
    } else {
      var ranks: [(file: String, metadata: DCPMetadata)] = []
      for file in Self.rankFiles(in: folder.names) {
        ranks.append((file, try Self.read(file, in: folder, size: &bytes)))
      }
      guard !ranks.isEmpty else { throw Self.unfinished(folder) }
      do throws(CheckpointError) { metadata = try DCPMetadata(merging: ranks) } catch { throw error.inFile(path) }
    }
    if metadata.strayCount > 0 {
      let names = metadata.strays.joined(separator: ", ") + (metadata.strayCount > metadata.strays.count ? ", …" : "")
      warnings.append("\(metadata.strayCount) stored parts belong to no entry and were left out: \(names)")
    }
  }

  private static func read(
    _ name: String, in folder: PartsFolder, size: inout Int
  ) throws(CheckpointError) -> DCPMetadata {
    let file = try folder.map(name)
    defer { withExtendedLifetime(file) {} }
    size += file.count
    do throws(CheckpointError) { return try DCPMetadata(file.bytes) } catch { throw error.inFile(file.path) }
  }

  /// `__<rank>.metadata`, by rank.
  static func rankFiles(in names: [String]) -> [String] {
    let ranked = names.compactMap { name -> (rank: Int, name: String)? in
      guard name.hasPrefix("__"), name.hasSuffix(".metadata") else { return nil }
      return Int(name.dropFirst(2).dropLast(9)).map { ($0, name) }
    }
    return ranked.sorted { $0.rank < $1.rank }.map(\.name)
  }

  private static func unfinished(_ folder: PartsFolder) -> CheckpointError {
    let files = folder.names.filter { $0.hasSuffix(".distcp") }
    let trace = folder.has(".metadata.tmp") ? ", though .metadata.tmp is: it broke off at the very end" : ""
    return CheckpointError(
      .damaged,
      "the save was not finished: \(files.count) .distcp files are there, but .metadata is not\(trace)",
      file: folder.path, advice: "PyTorch writes .metadata last. Use the checkpoint before this one.")
  }

  // MARK: - Files

  /// Maps the files of all parts and checks that the parts lie in them, none in another.
  mutating func openFiles() throws(CheckpointError) {
    var spans: [Key: [(start: Int, end: Int, name: String)]] = [:]
    var order: [String] = []
    for entry in metadata.entries {
      for part in entry.parts {
        if spans[.string(part.file)] == nil { order.append(part.file) }
        spans[.string(part.file), default: []].append((part.offset, part.offset + part.length, entry.name))
      }
    }
    try refuseMissing(order, spans.mapValues { Set($0.map { Key.string($0.name) }).count })
    for name in order {
      let file = try folder.map(name)
      files[.string(name)] = file
      bytes += file.count
      if SafetensorsFile.recognises(file.bytes, fileSize: file.count),
        case .dict(let dict) = try SafetensorsFile.read(file.path).root
      {
        safetensors[.string(name)] = dict
      } else {
        try Self.check(spans[.string(name)] ?? [], file)
      }
    }
  }

  private func refuseMissing(_ order: [String], _ users: [Key: Int]) throws(CheckpointError) {
    for name in order { try folder.checkName(name) }
    let missing = order.filter { !$0.utf8.contains(0x2F) && !folder.has($0) }
    guard !missing.isEmpty else { return }
    let names = listed(missing, most: 5)
    let entries = missing.reduce(0) { $0 + (users[.string($1)] ?? 0) }
    throw CheckpointError(
      .damaged, "\(missing.count) of \(order.count) shards missing: \(names), with parts of \(entries) entries",
      file: folder.path, advice: "Copy all files of the folder; each rank wrote its own.")
  }

  private static func check(
    _ spans: [(start: Int, end: Int, name: String)], _ file: MappedFile
  ) throws(CheckpointError) {
    var last: (start: Int, end: Int, name: String)?
    for span in spans.sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
      guard span.end <= file.count else {
        throw CheckpointError(
          .damaged, "lies at bytes \(span.start) to \(span.end) of a file of \(file.count)", file: file.path,
          place: span.name, advice: "The file may have been cut short; compare its size with the original's.")
      }
      if let last, span.start < last.end {
        throw CheckpointError(
          .damaged, "shares the bytes from \(span.start) on with '\(last.name)'", file: file.path, place: span.name)
      }
      last = span
    }
  }

  // MARK: - Tree

  /// The tree. Tensors stay in the files until they are asked for; other values are read.
  mutating func read() throws(CheckpointError) -> Value {
    try openFiles()
    var places: [Key: Int] = [:]
    for (place, entry) in metadata.entries.enumerated() { places[.string(entry.name)] = place }
    var tree = NestedTree(entries: metadata.entries.count)
    var isPlaced = Array(repeating: false, count: metadata.entries.count)
    for (name, path) in metadata.paths {
      guard let place = places[.string(name)], !isPlaced[place] else { continue }
      isPlaced[place] = true
      try put(metadata.entries[place], at: path, in: &tree)
    }
    for (place, entry) in metadata.entries.enumerated() where !isPlaced[place] {
      try put(entry, at: [.string(entry.name)], in: &tree)
    }
    return StoredOptimizers.restored(tree.root())
  }

  /// Megatron keeps what is the same for all ranks in `common.pt` beside the shards; it becomes the entry `common`. Other
  /// files of the folder are told.
  mutating func addCommon(to root: inout Value) throws(CheckpointError) {
    var others = folder.names.filter { !$0.hasPrefix(".") && files[.string($0)] == nil && !DCPWriter.isPart($0) }
    if folder.has("common.pt"), case .dict(var dict) = root, dict["common"] == nil {
      let file = try folder.map("common.pt")
      let found = try TorchZip.read(file.path, options: TorchZip.ReadOptions(verifyChecksums: verify))
      warnings += found.warnings.map { "common.pt: \($0)" }
      dict.entries.append(Dict.Entry(.string("common"), found.root))
      root = .dict(dict)
      bytes += file.count
      others.removeAll { $0.hasSameBytes(as: "common.pt") }
    }
    if !others.isEmpty { warnings.append("not taken from the folder: \(listed(others))") }
  }

  private mutating func put(
    _ entry: DCPMetadata.Entry, at path: [Key], in tree: inout NestedTree
  ) throws(CheckpointError) {
    do throws(CheckpointError) { try tree.set(path, try value(of: entry)) } catch {
      throw error.under(entry.name).inFile(folder.path)
    }
  }

  /// What an entry holds. The files must be open.
  mutating func value(of entry: DCPMetadata.Entry) throws(CheckpointError) -> Value {
    for other in entry.replicas where try differs(other, from: entry) {
      warnings.append("\(entry.name): the ranks have different values; that of the first is taken")
      break
    }
    switch entry.item {
    case .tensor(let tensor) where TorchTypes.isQuantized(tensor.dtype):
      return try quantized(tensor, name: entry.name)
    case .tensor(let tensor): return .tensor(try self.tensor(tensor, name: entry.name))
    case .value(let part?): return try value(part, name: entry.name)
    case .value(nil):
      throw CheckpointError(.damaged, "the value is listed, but not where it is stored", place: entry.name)
    }
  }

  /// Whether another rank's copy holds other bytes. Large ones, which are tensors, are not compared.
  private func differs(
    _ other: DCPMetadata.Part, from entry: DCPMetadata.Entry
  ) throws(CheckpointError) -> Bool {
    guard other.length <= 1 << 16, let mine = entry.counterpart(of: other), let file = files[.string(mine.file)],
      let second = files[.string(other.file)]
    else { return false }
    let a = try MappedRange(file, range: mine.offset..<(mine.offset + mine.length))
    let b = try MappedRange(second, range: other.offset..<(other.offset + other.length))
    var isSame = false
    try a.withBytes { (x) throws(CheckpointError) in
      try b.withBytes { (y) throws(CheckpointError) in isSame = x.elementsEqual(y) }
    }
    return !isSame
  }

  private func file(of part: DCPMetadata.Part) throws(CheckpointError) -> MappedFile {
    guard let file = files[.string(part.file)] else {
      throw CheckpointError(.damaged, "the file '\(part.file)' is missing", file: folder.path)
    }
    return file
  }

  /// The chunk's bytes, opened when they are asked for.
  func source(
    of chunk: DCPMetadata.Chunk, _ dtype: DType, name: String
  ) throws(CheckpointError) -> any ByteSource {
    guard let part = chunk.part else {
      throw CheckpointError(
        .damaged, "the chunk \(chunk.text) is listed, but not where it is stored", file: folder.path, place: name)
    }
    if let dict = safetensors[.string(part.file)] {
      guard case .tensor(let tensor)? = dict[name], tensor.dtype == dtype, tensor.shape == chunk.sizes else {
        throw CheckpointError(
          .damaged, "the file '\(part.file)' has no \(dtype.rawValue) \(chunk.sizes) of this name",
          file: folder.path, place: "\(name), chunk \(chunk.text)")
      }
      return tensor.source
    }
    return try StoredChunk(
      try file(of: part), part.offset..<(part.offset + part.length), dtype: dtype, sizes: chunk.sizes,
      place: "\(name), chunk \(chunk.text)", verify: verify)
  }

  func tensor(_ item: DCPMetadata.TensorItem, name: String) throws(CheckpointError) -> Tensor {
    try ChunkCover.check(item)
    var parts: [(offsets: [Int], sizes: [Int], source: any ByteSource)] = []
    for chunk in item.chunks where !chunk.isEmpty {
      parts.append((chunk.offsets, chunk.sizes, try source(of: chunk, item.dtype, name: name)))
    }
    return try Tensor(dtype: item.dtype, shape: item.shape, parts: parts)
  }

  /// A quantised tensor is stored with its scale, so that it can only be taken whole. (PyTorch 2.13 itself cannot load it.)
  private mutating func quantized(_ item: DCPMetadata.TensorItem, name: String) throws(CheckpointError) -> Value {
    guard item.chunks.count == 1, item.chunks[0].sizes == item.shape, let part = item.chunks[0].part else {
      throw CheckpointError(.unsupported, "a quantised tensor (\(item.dtype.rawValue)) in several chunks", place: name)
    }
    return try value(part, name: name)
  }

  private mutating func value(_ part: DCPMetadata.Part, name: String) throws(CheckpointError) -> Value {
    let file = try file(of: part)
    let range = part.offset..<(part.offset + part.length)
    guard TorchZip.recognises(file.bytes[range].prefix(4)) else {
      guard range.count <= Self.rawLimit else {
        throw CheckpointError(.unsupported, "\(range.count) bytes that are no torch.save archive", file: file.path)
      }
      warnings.append("\(name): is no torch.save archive; its bytes are kept as they are")
      return .bytes(Array(file.bytes[range]))
    }
    let found = try archive(part, name: name)
    warnings += found.warnings.map { "\(name): \($0)" }
    return found.root
  }

  /// What a part holds, which is a torch.save archive.
  func archive(_ part: DCPMetadata.Part, name: String) throws(CheckpointError) -> Checkpoint {
    let file = try file(of: part)
    do throws(CheckpointError) {
      return try TorchArchive(file, part: (name, part.offset..<(part.offset + part.length)), verify: verify).read()
    } catch {
      throw error.under(name).inFile(file.path)
    }
  }

  private static let rawLimit = 64 << 20
}

extension DCPMetadata.Entry {
  /// Where all of it is stored, other ranks' copies too.
  var parts: [DCPMetadata.Part] {
    switch item {
    case .value(let part): (part.map { [$0] } ?? []) + replicas
    case .tensor(let tensor): tensor.chunks.compactMap(\.part) + replicas
    }
  }

  /// What another rank's copy is a copy of, where there is only one thing it can be.
  func counterpart(of other: DCPMetadata.Part) -> DCPMetadata.Part? {
    switch item {
    case .value(let part): part
    case .tensor(let tensor): tensor.chunks.count == 1 ? tensor.chunks[0].part : nil
    }
  }
}

extension Tensor {
  /// A tensor made of boxes that cover it, each element once, none empty.
  init(
    dtype: DType, shape: [Int], parts: [(offsets: [Int], sizes: [Int], source: any ByteSource)]
  ) throws(CheckpointError) {
    let source: any ByteSource
    if parts.isEmpty {
      source = BufferSource([])
    } else if parts.count == 1 {
      source = parts[0].source
    } else {
      source = try BoxedSource(dtype: dtype, shape: shape, parts: parts)
    }
    try self.init(dtype: dtype, shape: shape, source: source)
  }
}
