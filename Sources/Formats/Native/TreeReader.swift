import Checkpoint
import HDF5

/// Reads the tree of one open file. With a manifest that still holds it opens no tensor's dataset; without one it
/// walks everything, and checks everything against the profile.
struct TreeReader {
  let file: MappedFile
  /// The index, where it still holds.
  let manifest: ManifestIndex?
  private(set) var warnings: [String] = []
  /// Without a manifest: every tensor in tree order, as it was found.
  private(set) var found: [Manifest.Entry] = []
  /// Sources by the address of their dataset: hard links to one are tied.
  private var sources: [UInt64: any ByteSource] = [:]
  /// The path that each of these tensors was met under first.
  private var firstPaths: [UInt64: String] = [:]
  /// Tensors by their path, with their place in `found`, for those that others may be aliases of.
  private var tensors: [Key: (tensor: Tensor, found: Int)] = [:]
  private var extents = ExtentCheck()
  private var groups: Set<UInt64> = []
  private var objects = 0
  private let maximumObjects: Int

  /// - Parameters:
  ///   - manifestRange: where the manifest's own bytes lie: no other dataset may have them.
  ///   - maximumObjects: more than any real file has; a test has fewer.
  init(
    file: MappedFile, manifest: ManifestIndex?, manifestRange: Range<Int>? = nil,
    maximumObjects: Int = Vocabulary.maximumObjects
  ) {
    self.file = file
    self.manifest = manifest
    self.maximumObjects = maximumObjects
    if let manifestRange { extents.add(manifestRange, Vocabulary.manifest) }
  }

  mutating func read(_ root: borrowing Group, at location: RootLocation) throws(CheckpointError) -> Value {
    groups.insert(try hdf5 { () throws(HDF5Error) in try root.objectInfo().address })
    let value: Value
    switch location {
    case .file:
      try checkVersion(root)
      value = .dict(try dict(root, path: "", depth: 0))
    case .link(let name):
      // What else lies at the root is no part of the tree, but its links are held to the profile all the same.
      if manifest == nil { _ = try links(of: root, "") }
      guard try hdf5({ () throws(HDF5Error) in try root.exists(name) }) else {
        throw CheckpointError(.damaged, "the root attribute names it, but there is no such object", place: "/\(name)")
      }
      value = try node(root, name, path: name, depth: 0)
    }
    try extents.check()
    return value
  }

  /// Without a manifest: the tensor whose dataset has this path.
  func tensor(at path: String) -> Tensor? { tensors[.string(path)]?.tensor }

  // MARK: - Nodes

  mutating func node(
    _ group: borrowing Group, _ link: String, path: String, depth: Int
  ) throws(CheckpointError) -> Value {
    do throws(CheckpointError) {
      let info = try hdf5 { () throws(HDF5Error) in try group.object(link) }
      try count()
      switch info.kind {
      case .group:
        return try self.group(try open(group, link, info, depth + 1), path, depth + 1)
      case .dataset:
        let dataset = try hdf5 { () throws(HDF5Error) in try group.openDataset(link) }
        return try self.dataset(dataset, info, path)
      default: throw CheckpointError(.unsupported, "the object is no group and no dataset")
      }
    } catch {
      throw error.place == nil ? error.at("/\(path)") : error
    }
  }

  /// Opens a group that is no value of its own: an optimizer's slot, its list of groups, one of these.
  mutating func enter(
    _ parent: borrowing Group, _ link: String, _ path: String, _ depth: Int
  ) throws(CheckpointError) -> Group {
    do throws(CheckpointError) {
      try count()
      let group = try open(parent, link, try hdf5 { () throws(HDF5Error) in try parent.object(link) }, depth)
      try checkVersion(group)
      return group
    } catch {
      throw error.at("/\(path)")
    }
  }

  private mutating func open(
    _ parent: borrowing Group, _ link: String, _ info: ObjectInfo, _ depth: Int
  ) throws(CheckpointError) -> Group {
    guard depth <= Vocabulary.maximumDepth else {
      throw CheckpointError(.damaged, "groups lie more than \(Vocabulary.maximumDepth) levels deep")
    }
    guard groups.insert(info.address).inserted else {
      throw CheckpointError(.damaged, "the group is linked more than once; a tree has each once")
    }
    return try hdf5 { () throws(HDF5Error) in try parent.openGroup(link) }
  }

  /// Notes where a dataset's bytes lie. Two links to one dataset are no overlap, two datasets of one place are.
  mutating func note(_ storage: StoredBytes, of info: ObjectInfo, _ path: String) throws(CheckpointError) {
    if sources[info.address] == nil, let range = storage.range { extents.add(range, path) }
    if sources[info.address] == nil { sources[info.address] = storage.source }
  }

  private mutating func count() throws(CheckpointError) {
    objects += 1
    guard objects <= maximumObjects else {
      throw CheckpointError(.damaged, "more than \(maximumObjects) objects")
    }
  }

  private mutating func group(
    _ group: borrowing Group, _ path: String, _ depth: Int
  ) throws(CheckpointError) -> Value {
    let text = try group.text(Vocabulary.encodingType) ?? Encoding.dict.rawValue
    try checkVersion(group)
    switch Encoding(rawValue: text) {
    case .dict: return .dict(try dict(group, path: path, depth: depth))
    case .list: return .sequence(.list, try items(group, path, depth))
    case .tuple: return .sequence(.tuple, try items(group, path, depth))
    case .set: return .sequence(.set, try items(group, path, depth))
    case .frozenset: return .sequence(.frozenset, try items(group, path, depth))
    case .record: return try record(group, path, depth)
    case .optimizer: return .dict(try optimizer(group, path, depth))
    default: throw CheckpointError(.unsupported, "a group with the encoding \"\(text)\" is not known")
    }
  }

  func checkVersion<Object: HDF5Object & ~Copyable>(_ object: borrowing Object) throws(CheckpointError) {
    guard let version = try object.text(Vocabulary.encodingVersion) else { return }
    guard version.utf8.starts(with: "1.".utf8) || version == "1" else {
      throw CheckpointError(
        .unsupported, "its encoding has version \(version), this reader knows 1.x", advice: "Use a newer ckpt.")
    }
  }

  private mutating func dict(
    _ group: borrowing Group, path: String, depth: Int
  ) throws(CheckpointError) -> Dict {
    var kind = Dict.Kind.plain
    var attributes: [Record.Field] = []
    var allInts = false
    for name in try hdf5({ () throws(HDF5Error) in try group.attributeNames() }) {
      switch name {
      case Vocabulary.kind:
        let factory = try group.text(Vocabulary.factory) ?? ""
        kind = try PackedJSON.dictKind(try group.text(name) ?? "", factory: factory)
      case Vocabulary.keys: allInts = try group.text(name) == "int"
      case Vocabulary.attributes: attributes = try packedFields(try group.text(name) ?? "")
      default: break
      }
    }
    let links = try links(of: group, path)
    var entries: [Dict.Entry] = []
    entries.reserveCapacity(links.count)
    for link in links {
      let key = try LinkName.key(link.name, allInts: allInts)
      let value =
        if let index = link.index { Value.tensor(try indexed(index)) } else {
          try node(group, link.name, path: path.isEmpty ? link.name : "\(path)/\(link.name)", depth: depth)
        }
      entries.append(Dict.Entry(key, value))
    }
    return Dict(entries, kind: kind, attributes: attributes)
  }

  private func packedFields(_ text: String) throws(CheckpointError) -> [Record.Field] {
    guard case .dict(let dict) = try PackedJSON.value(Array(text.utf8)) else {
      throw CheckpointError(.damaged, "the attribute \(Vocabulary.attributes) is no JSON object")
    }
    return try dict.entries.map { (entry) throws(CheckpointError) in
      guard case .string(let name) = entry.key else {
        throw CheckpointError(.damaged, "the attribute \(Vocabulary.attributes) has a name that is no string")
      }
      return Record.Field(name, entry.value)
    }
  }

  private mutating func items(
    _ group: borrowing Group, _ path: String, _ depth: Int
  ) throws(CheckpointError) -> [Value] {
    var links: [Int: ChildLink] = [:]
    for link in try self.links(of: group, path) {
      guard let index = Int(link.name), String(index) == link.name else {
        throw CheckpointError(.damaged, "the link \"\(link.name)\" is no index of a list")
      }
      links[index] = link
    }
    var values: [Value] = []
    for index in 0..<links.count {
      guard let link = links[index] else {
        throw CheckpointError(.damaged, "element \(index) of \(links.count) is missing")
      }
      if let entry = link.index {
        values.append(.tensor(try indexed(entry)))
      } else {
        values.append(try node(group, link.name, path: "\(path)/\(link.name)", depth: depth))
      }
    }
    return values
  }

  private mutating func record(
    _ group: borrowing Group, _ path: String, _ depth: Int
  ) throws(CheckpointError) -> Value {
    guard let type = try group.text(Vocabulary.recordType) else {
      throw CheckpointError(.damaged, "a record without the attribute \(Vocabulary.recordType)")
    }
    var fields: [Record.Field] = []
    for link in try links(of: group, path) {
      let name = try LinkName.unescape(link.name)
      let value =
        if let index = link.index { Value.tensor(try indexed(index)) } else {
          try node(group, link.name, path: "\(path)/\(link.name)", depth: depth)
        }
      fields.append(Record.Field(name, value))
    }
    if type == Dict.recordWithAttributes, case .dict(var dict)? = fields.first?.value {
      dict.attributes = Array(fields.dropFirst())
      return .dict(dict)
    }
    return .record(Record(type, fields))
  }

  // MARK: - Links

  /// A child of a group: its link, and its place in the manifest where it is a tensor listed there.
  struct ChildLink {
    var name: String
    var index: Int?
  }

  /// The links of a group in the order of the tree.
  func links(of group: borrowing Group, _ path: String) throws(CheckpointError) -> [ChildLink] {
    var listed: [ChildLink] = []
    if let manifest {
      let owned = path.isEmpty ? 1 : 0
      listed = manifest.children(of: path).map { ChildLink(name: manifest.entries[$0].link, index: $0) }
      let total = try hdf5 { () throws(HDF5Error) in try group.linkCount }
      // A manifest that holds knows all tensors: a group that has no other children need not be walked.
      if listed.count == total - owned { return listed }
    }
    var indices: [Key: Int] = [:]
    for link in listed { indices[.string(link.name)] = link.index }
    var links: [ChildLink] = []
    for link in try hdf5({ () throws(HDF5Error) in try group.links(objects: false) }) {
      guard link.kind == .hard else {
        throw CheckpointError(
          .unsupported, "the link is \(link.kind.words); only hard links are allowed", place: "/\(path)/\(link.name)",
          advice: "A checkpoint holds all its data itself. Do not trust this file.")
      }
      if path.isEmpty, link.name == Vocabulary.manifest { continue }
      links.append(ChildLink(name: link.name, index: indices[.string(link.name)]))
    }
    return try inOrder(links, of: group)
  }

  private func inOrder(_ links: [ChildLink], of group: borrowing Group) throws(CheckpointError) -> [ChildLink] {
    guard links.count > 1, try hdf5({ () throws(HDF5Error) in try group.hasAttribute(Vocabulary.order) }) else {
      return links
    }
    let order = try hdf5 { () throws(HDF5Error) in try group.readUInt32Attribute(Vocabulary.order) }
    let names = links.map(\.name)
    return Self.inOrder(links, names: names, order) ?? links
  }

  /// The elements in the order that the attribute `order` gives; nil where it is no permutation of them (a link was
  /// added or removed since).
  static func inOrder<T>(_ elements: [T], names: [String], _ order: [UInt32]) -> [T]? {
    guard order.count == names.count else { return nil }
    let sorted = bytewiseOrder(of: names)
    var used = [Bool](repeating: false, count: order.count)
    var result: [T] = []
    result.reserveCapacity(order.count)
    for rank in order {
      guard rank < order.count, !used[Int(rank)] else { return nil }
      used[Int(rank)] = true
      result.append(elements[sorted[Int(rank)]])
    }
    return result
  }

  // MARK: - Tensors

  /// A tensor that the manifest lists.
  mutating func indexed(_ index: Int) throws(CheckpointError) -> Tensor {
    guard let manifest else { throw CheckpointError(.damaged, "no such tensor") }
    if let target = manifest.entries[index].aliasOf { return try aliased(index, target) }
    let tensor = try Tensor(
      dtype: manifest.entries[index].dtype, shape: manifest.entries[index].shape,
      source: try MappedRange(file, range: manifest.entries[index].range), kind: manifest.entries[index].kind,
      requiresGrad: manifest.entries[index].requiresGrad, recordedDigest: manifest.entries[index].xxh3)
    if manifest.hasAliases { tensors[.string(manifest.entries[index].path)] = (tensor, -1) }
    return tensor
  }

  /// A tensor that the manifest lists as another name of one before it.
  private func aliased(_ index: Int, _ target: String) throws(CheckpointError) -> Tensor {
    guard let entry = manifest?.entries[index] else { throw CheckpointError(.damaged, "no such tensor") }
    guard var tensor = tensors[.string(target)]?.tensor,
      tensor.dtype == entry.dtype, tensor.shape == entry.shape
    else {
      throw CheckpointError(.damaged, "it is an alias of \(target), which is no tensor before it", place: entry.path)
    }
    (tensor.kind, tensor.requiresGrad) = (entry.kind, entry.requiresGrad)
    return tensor
  }

  private mutating func dataset(
    _ dataset: borrowing Dataset, _ info: ObjectInfo, _ path: String
  ) throws(CheckpointError) -> Value {
    try checkVersion(dataset)
    let encoding = try dataset.text(Vocabulary.encodingType)
    if encoding == Encoding.alias.rawValue { return .tensor(try alias(dataset, path)) }
    let storage = try StoredBytes(dataset, file: file, path: path)
    if sources[info.address] == nil, let range = storage.range { extents.add(range, path) }
    if let encoding {
      sources[info.address] = storage.source
      return try LeafReader.value(encoding, storage)
    }
    return .tensor(try tensor(dataset, storage, info, path))
  }

  private mutating func tensor(
    _ dataset: borrowing Dataset, _ storage: StoredBytes, _ info: ObjectInfo, _ path: String
  ) throws(CheckpointError) -> Tensor {
    let source = sources[info.address] ?? storage.source
    sources[info.address] = source
    let first = firstPaths[info.address]
    if first == nil { firstPaths[info.address] = path }
    let dtype: DType
    if let name = try dataset.text(Vocabulary.dtype) {
      guard let known = DType(rawValue: name) else {
        throw CheckpointError(.unsupported, "the element type \"\(name)\" is not known")
      }
      dtype = known
    } else if let implied = DType(storage.type) {
      dtype = implied
      warnings.append("/\(path) has no dtype attribute; it is taken for \(implied.rawValue)")
    } else {
      throw CheckpointError(.unsupported, "a dataset of \(storage.type) without dtype or encoding-type")
    }
    let tensor = try Tensor(
      dtype: dtype, shape: try shape(dataset, storage, dtype), source: source,
      kind: try dataset.text(Vocabulary.kind).map { (text) throws(CheckpointError) in try Tensor.Kind(text: text) }
        ?? .tensor,
      requiresGrad: try dataset.flag(Vocabulary.requiresGrad))
    var entry = Manifest.Entry(path: path, dtype: dtype, shape: tensor.shape, range: storage.range ?? 0..<0)
    (entry.kind, entry.requiresGrad) = (tensor.kind, tensor.requiresGrad)
    if tensor.byteCount > 0 { entry.aliasOf = first }
    tensors[.string(path)] = (tensor, found.count)
    found.append(entry)
    return tensor
  }

  private func shape(
    _ dataset: borrowing Dataset, _ storage: StoredBytes, _ dtype: DType
  ) throws(CheckpointError) -> [Int] {
    let expected = StorageType.of(dtype)
    guard storage.type == expected.type else {
      throw CheckpointError(.damaged, "\(dtype.rawValue) is stored as \(expected.type), found \(storage.type)")
    }
    guard !expected.isElement else { return storage.shape.dimensions }
    guard case .ints(let sizes) = try hdf5({ () throws(HDF5Error) in try dataset.readAttribute(Vocabulary.shape) })
    else { throw CheckpointError(.damaged, "the attribute shape is no list of integers") }
    guard sizes.count <= Vocabulary.maximumRank else {
      throw CheckpointError(.damaged, "\(sizes.count) dimensions; at most \(Vocabulary.maximumRank) are allowed")
    }
    return sizes.map { Int($0) }
  }

  /// A second name for a tensor, with a kind of its own.
  private mutating func alias(_ dataset: borrowing Dataset, _ path: String) throws(CheckpointError) -> Tensor {
    let target = try dataset.text(Vocabulary.target) ?? ""
    guard case (var tensor, let index)? = tensors[.string(String(target.dropFirst()))] else {
      throw CheckpointError(.damaged, "it is an alias of \(target), which is no tensor before it")
    }
    let kind = try dataset.text(Vocabulary.kind)
    tensor.kind = try kind.map { (text) throws(CheckpointError) in try Tensor.Kind(text: text) } ?? .tensor
    tensor.requiresGrad = try dataset.flag(Vocabulary.requiresGrad)
    var entry = found[index]
    (entry.path, entry.aliasOf) = (path, entry.aliasOf ?? entry.path)
    (entry.kind, entry.requiresGrad) = (tensor.kind, tensor.requiresGrad)
    found.append(entry)
    return tensor
  }
}

extension Link.Kind {
  /// For an error.
  var words: String {
    switch self {
    case .hard: "hard"
    case .soft(let target): "a soft link to \(target)"
    case .external(let file, let target): "an external link to \(target) in \(file)"
    case .userDefined: "of a user-defined kind"
    }
  }
}

extension HDF5Object where Self: ~Copyable {
  /// A text attribute, or nil when there is none.
  func text(_ name: String) throws(CheckpointError) -> String? {
    let value = try hdf5 { () throws(HDF5Error) -> AttributeValue? in
      try hasAttribute(name) ? try readAttribute(name) : nil
    }
    switch value {
    case nil: return nil
    case .string(let text): return text
    default: throw CheckpointError(.damaged, "the attribute \(name) is no text")
    }
  }

  /// A bool attribute; false when there is none.
  func flag(_ name: String) throws(CheckpointError) -> Bool {
    let value = try hdf5 { () throws(HDF5Error) -> AttributeValue? in
      try hasAttribute(name) ? try readAttribute(name) : nil
    }
    switch value {
    case nil: return false
    case .bool(let flag): return flag
    default: throw CheckpointError(.damaged, "the attribute \(name) is no bool")
    }
  }
}
