import Checkpoint

/// What a `.metadata` file says: which tensors and values there are, and where their parts lie.
struct DCPMetadata {
  /// A run of bytes of one of the folder's files: a torch.save archive of its own.
  struct Part: Sendable, Equatable {
    var file: String
    var offset: Int
    var length: Int
  }

  /// A box of a tensor.
  struct Chunk: Sendable {
    var offsets: [Int]
    var sizes: [Int]
    var part: Part?

    var isEmpty: Bool { sizes.contains(0) }

    /// `[0:4, 8:16]`
    var text: String { "[" + zip(offsets, sizes).map { "\($0):\($0 &+ $1)" }.joined(separator: ", ") + "]" }
  }

  struct TensorItem: Sendable {
    var dtype: DType
    var shape: [Int]
    var chunks: [Chunk]
  }

  enum Item: Sendable {
    case tensor(TensorItem)
    case value(Part?)
  }

  struct Entry: Sendable {
    var name: String
    var item: Item
    /// Other ranks' copies of what is there already.
    var replicas: [Part] = []
  }

  var entries: [Entry] = []
  /// Where in the tree the entries belong, in the order of the state dict that was saved; names that are not in it lie
  /// at the root.
  var paths: [(name: String, path: [Key])] = []
  var version: String?
  /// What is stored and belongs to nothing: how many parts, and the beginnings of some names.
  var strayCount = 0
  var strays: [String] = []

  /// How many names are kept of them.
  static let shownStrays = 5

  mutating func addStray(_ name: String) {
    strayCount += 1
    if strays.count < Self.shownStrays { strays.append(String(name.prefix(100))) }
  }
}

extension DCPMetadata {
  /// - Parameter bytes: of the file; not needed afterwards.
  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    let view = try PickleView(bytes)
    let fields = try view.fields(view.pickle.root, of: "Metadata")
    let items = try view.dict(
      try view.field("state_dict_metadata", of: fields, in: "Metadata"), "the metadata's table of contents")
    var reader = DCPMetadataReader(view)
    try reader.readItems(items)
    if let data = view.field("storage_data", of: fields), !view.isNone(data) {
      try reader.readStorage(try view.dict(data, "the metadata's table of places"))
    }
    // A planner of another kind may keep anything there; then names are all there is.
    if let data = view.field("planner_data", of: fields), view.isDict(data) { paths = try reader.paths(data) }
    entries = reader.entries
    (strays, strayCount) = (reader.strays.strays, reader.strays.strayCount)
    if let text = view.field("version", of: fields), !view.isNone(text) {
      version = try view.text(text, "the metadata's version")
    }
  }
}

/// Turns the pickle's nodes into entries.
private struct DCPMetadataReader {
  let view: PickleView
  private(set) var entries: [DCPMetadata.Entry] = []
  private(set) var strays = DCPMetadata()
  /// What may still be made of the pickle. Its nodes can be referred to again and again in a few bytes, and each time
  /// would cost a text or a chunk anew.
  private var textLeft: Int
  private var chunksLeft: Int
  private var index: [Key: Int] = [:]
  /// The places of chunks by offsets, for entries that have many.
  private var chunkIndex: [Int: [[Int]: Int]] = [:]
  private var files: [Key: String] = [:]

  init(_ view: PickleView) {
    self.view = view
    textLeft = 16 * view.bytes.count + 1 << 20
    chunksLeft = view.bytes.count
  }

  private mutating func text(_ node: Int32, _ what: String) throws(CheckpointError) -> String {
    let text = try view.text(node, what)
    try spend(text)
    return text
  }

  private mutating func spend(_ text: String) throws(CheckpointError) {
    textLeft -= text.utf8.count + 16
    guard textLeft >= 0 else {
      throw CheckpointError(.damaged, "metadata of \(view.bytes.count) bytes that would become many times as large")
    }
  }

  mutating func readItems(_ items: [Int32]) throws(CheckpointError) {
    entries.reserveCapacity(items.count / 2)
    for place in stride(from: 0, to: items.count - 1, by: 2) {
      let name = try text(items[place], "an entry's name")
      guard index.updateValue(entries.count, forKey: .string(name)) == nil else {
        throw CheckpointError(.damaged, "the entry comes twice", place: name)
      }
      do throws(CheckpointError) {
        entries.append(DCPMetadata.Entry(name: name, item: try item(items[place + 1])))
      } catch {
        throw error.at(name)
      }
    }
  }

  private mutating func item(_ node: Int32) throws(CheckpointError) -> DCPMetadata.Item {
    if view.className(node)?.name == "BytesStorageMetadata" {
      _ = try view.state(node, of: "BytesStorageMetadata")
      return .value(nil)
    }
    let fields = try view.fields(node, of: "TensorStorageMetadata")
    let shape = try view.sizes(try view.field("size", of: fields, in: "TensorStorageMetadata"), "a tensor's size")
    let dtype = try dtype(try view.field("properties", of: fields, in: "TensorStorageMetadata"))
    guard dtype.byteCount(of: shape) != nil else {
      throw CheckpointError(.damaged, "a tensor of size \(shape), which is too large")
    }
    var chunks: [DCPMetadata.Chunk] = []
    for chunk in try view.items(try view.field("chunks", of: fields, in: "TensorStorageMetadata"), "a tensor's chunks")
    {
      let fields = try view.fields(chunk, of: "ChunkStorageMetadata")
      chunksLeft -= 1
      guard chunksLeft >= 0 else {
        throw CheckpointError(.damaged, "metadata of \(view.bytes.count) bytes with more chunks than that")
      }
      chunks.append(
        DCPMetadata.Chunk(
          offsets: try view.sizes(
            try view.field("offsets", of: fields, in: "ChunkStorageMetadata"), "a chunk's offset"),
          sizes: try view.sizes(try view.field("sizes", of: fields, in: "ChunkStorageMetadata"), "a chunk's size")))
    }
    return .tensor(DCPMetadata.TensorItem(dtype: dtype, shape: shape, chunks: chunks))
  }

  /// TensorProperties: their state is (dtype, layout, requires_grad, memory format, pin_memory).
  private func dtype(_ node: Int32) throws(CheckpointError) -> DType {
    guard let state = try view.state(node, of: "TensorProperties"),
      let first = try view.items(state, "a tensor's properties").first, let named = view.className(first)
    else { throw CheckpointError(.damaged, "a tensor without a dtype") }
    guard named.module == "torch", let dtype = DType(rawValue: named.name), TorchTypes.exists(dtype) else {
      throw CheckpointError(.unsupported, "a tensor of the unknown dtype \(named.fullName)")
    }
    return dtype
  }

  mutating func readStorage(_ items: [Int32]) throws(CheckpointError) {
    for place in stride(from: 0, to: items.count - 1, by: 2) {
      let fields = try view.fields(items[place], of: "MetadataIndex")
      let name = try text(try view.field("fqn", of: fields, in: "MetadataIndex"), "an entry's name")
      do throws(CheckpointError) {
        try add(try part(items[place + 1]), to: name, at: fields)
      } catch {
        throw error.at(name)
      }
    }
  }

  private mutating func part(_ node: Int32) throws(CheckpointError) -> DCPMetadata.Part {
    let fields = try view.fields(node, of: "_StorageInfo")
    if let steps = view.field("transform_descriptors", of: fields), !view.isNone(steps) {
      let steps = try view.items(steps, "the transformations of a part")
      if let first = steps.first {
        throw CheckpointError(
          .unsupported, "was written through the extension '\(try view.text(first, "an extension's name"))'",
          advice: "Save it without _extensions; what such a file holds only its extension knows.")
      }
    }
    let path = try text(try view.field("relative_path", of: fields, in: "_StorageInfo"), "a file's name")
    let offset = try view.int(try view.field("offset", of: fields, in: "_StorageInfo"), "a part's offset")
    let length = try view.int(try view.field("length", of: fields, in: "_StorageInfo"), "a part's length")
    guard offset >= 0, length >= 0, !offset.addingReportingOverflow(length).overflow else {
      throw CheckpointError(.damaged, "lies at offset \(offset), length \(length): negative or too large")
    }
    // One text for all parts of a file.
    let file = files[.string(path)] ?? path
    files[.string(path)] = file
    return DCPMetadata.Part(file: file, offset: offset, length: length)
  }

  private mutating func add(
    _ part: DCPMetadata.Part, to name: String, at fields: [Int32]
  ) throws(CheckpointError) {
    guard let entry = index[.string(name)] else { return strays.addStray(name) }
    switch entries[entry].item {
    case .value(let known):
      guard known == nil else { throw CheckpointError(.damaged, "is stored twice") }
      entries[entry].item = .value(part)
    case .tensor(var tensor):
      // Otherwise each part would copy the array.
      entries[entry].item = .value(nil)
      defer { entries[entry].item = .tensor(tensor) }
      var offsets = Array(repeating: 0, count: tensor.shape.count)
      if let node = view.field("offset", of: fields), !view.isNone(node) {
        offsets = try view.sizes(node, "a chunk's offset")
      }
      guard let chunk = chunk(at: offsets, of: entry, tensor, hint: view.field("index", of: fields)) else {
        return strays.addStray("\(name.prefix(80)) at \(offsets)")
      }
      guard tensor.chunks[chunk].part == nil else {
        throw CheckpointError(.damaged, "the chunk \(tensor.chunks[chunk].text) is stored twice")
      }
      tensor.chunks[chunk].part = part
    }
  }

  private mutating func chunk(
    at offsets: [Int], of entry: Int, _ tensor: DCPMetadata.TensorItem, hint: Int32?
  ) -> Int? {
    let chunks = tensor.chunks
    if let hint, let place = try? view.int(hint, ""), chunks.indices.contains(place), chunks[place].offsets == offsets,
      !chunks[place].isEmpty
    {
      return place
    }
    // A chunk without elements may begin where another does.
    if chunks.count <= 8 {
      return chunks.firstIndex { $0.offsets == offsets && !$0.isEmpty } ?? chunks.firstIndex { $0.offsets == offsets }
    }
    if chunkIndex[entry] == nil {
      var places: [[Int]: Int] = [:]
      for (place, chunk) in chunks.enumerated() where places[chunk.offsets].map({ chunks[$0].isEmpty }) ?? true {
        places[chunk.offsets] = place
      }
      chunkIndex[entry] = places
    }
    return chunkIndex[entry]?[offsets]
  }

  mutating func paths(_ node: Int32) throws(CheckpointError) -> [(name: String, path: [Key])] {
    let items = try view.dict(node, "the metadata's planner_data")
    var paths: [(name: String, path: [Key])] = []
    paths.reserveCapacity(items.count / 2)
    for place in stride(from: 0, to: items.count - 1, by: 2) {
      let name = try text(items[place], "a name in planner_data")
      let steps = try view.items(items[place + 1], "a path in planner_data")
      guard !steps.isEmpty, steps.count <= TorchTree.depthLimit else {
        throw CheckpointError(.damaged, "a path of \(steps.count) steps in planner_data", place: name)
      }
      var path: [Key] = []
      for step in steps {
        let key = try view.key(step, "a step of a path")
        if case .string(let text) = key { try spend(text) } else { try spend("") }
        path.append(key)
      }
      paths.append((name, path))
    }
    return paths
  }
}
