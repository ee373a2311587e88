import Checkpoint
import HDF5

/// Makes the groups, datasets and attributes of a tree, and notes where the tensors' bytes are to go.
struct TreeBuilder {
  /// A tensor whose bytes are to be written.
  struct Job {
    /// Its number in `table`.
    var tensor: Int
    var job: WriteJob
  }

  private(set) var table: TensorTable
  private(set) var jobs: [Job] = []
  private(set) var warnings: [String] = []
  /// In tree order; the digests come later.
  private var listed: [(entry: Manifest.Entry, job: Int?)] = []
  /// Where each tensor of `table` was put first: its place in `listed`.
  private var places: [Int: Int] = [:]
  private let tied: Set<ObjectIdentifier>
  private let names: OptimizerNames

  private var objects = 0
  private let maximumObjects: Int
  private let maximumAttributeBytes: Int

  /// The limits are those of the format; a test has smaller ones.
  init(
    _ root: Value, maximumObjects: Int = Vocabulary.maximumObjects,
    maximumAttributeBytes: Int = Vocabulary.maximumAttributeBytes
  ) {
    self.maximumObjects = maximumObjects
    self.maximumAttributeBytes = maximumAttributeBytes
    table = TensorTable(root)
    tied = root.tiedSources
    names = OptimizerNames(root)
  }

  /// About how many bytes the headers of the tensors' datasets take.
  var expectedMetadata: Int { table.tensors.count * 512 }

  /// The manifest's entries, with the digests of the jobs' results where there are some already.
  func entries(_ results: [WrittenJob], _ algorithm: Digest.Algorithm) -> [Manifest.Entry] {
    listed.map { entry, job in
      guard let job, job < results.count else { return entry }
      var entry = entry
      entry.xxh3 = results[job].digests.first
      if algorithm == .sha256 { entry.sha256 = results[job].digests.last }
      return entry
    }
  }

  mutating func build(
    _ root: Value, at location: RootLocation, in group: borrowing Group
  ) throws(CheckpointError) {
    switch (location, root) {
    case (.file, .dict(let dict)):
      try write(dict, into: group, path: "", depth: 0, treePath: TreePath(), reserved: [Vocabulary.manifest])
    case (.link(let name), _): try write(root, in: group, name, path: name, depth: 0, treePath: TreePath())
    case (.file, _): throw CheckpointError(.usage, "only a dictionary can be the root itself")
    }
  }

  // MARK: - Values

  /// Writes `value` as the link `link` of `group`; `path` is that link's path in the file.
  private mutating func write(
    _ value: Value, in group: borrowing Group, _ link: String, path: String, depth: Int, treePath: TreePath
  ) throws(CheckpointError) {
    try check(link, path)
    if !value.holdsTensor, let packed = value.packedForm {
      try checkNesting(packed, path)
      return try LeafWriter.write(.json, packed, in: group, link)
    }
    switch value {
    case .tensor(let tensor): try write(tensor, in: group, link, path: path)
    case .sequence(let kind, let items) where LeafWriter.column(items) == nil:
      let child = try makeGroup(group, link, Encoding(kind), depth)
      for (index, item) in items.enumerated() {
        try write(
          item, in: child, String(index), path: "\(path)/\(index)", depth: depth + 1,
          treePath: treePath.appending(.index(index)))
      }
    case .dict(let dict):
      if names.isOptimizer(treePath), try writeOptimizer(dict, in: group, link, path, depth, treePath) { return }
      guard !value.attributesHoldTensor, !dict.attributesExceed(maximumAttributeBytes) else {
        return try write(
          .record(dict.withAttributesAsRecord), in: group, link, path: path, depth: depth, treePath: treePath)
      }
      let child = try makeGroup(group, link, .dict, depth)
      try write(dict, into: child, path: path, depth: depth + 1, treePath: treePath)
    case .record(let record): try write(record, in: group, link, path: path, depth: depth, treePath: treePath)
    default: try LeafWriter.write(value, in: group, link)
    }
  }

  /// Checks what a link to a new object must keep to.
  private mutating func check(_ link: String, _ path: String) throws(CheckpointError) {
    guard link.utf8.count <= Vocabulary.maximumNameBytes else {
      throw CheckpointError(
        .unsupported, "a key of \(link.utf8.count) bytes; at most \(Vocabulary.maximumNameBytes) can be stored",
        place: String(path.dropLast(link.count)))
    }
    if link.utf8.starts(with: "%=".utf8) { try checkNesting(link.utf8, path) }
    objects += 1
    guard objects <= maximumObjects else {
      throw CheckpointError(.unsupported, "more than \(maximumObjects) objects; no file holds more")
    }
  }

  private func checkNesting(_ json: some Collection<UInt8>, _ path: String) throws(CheckpointError) {
    guard PackedJSON.nesting(of: json) <= Vocabulary.maximumNesting else {
      throw CheckpointError(.unsupported, "values lie more than \(Vocabulary.maximumNesting) levels deep", place: path)
    }
  }

  private func makeGroup(
    _ group: borrowing Group, _ link: String, _ encoding: Encoding, _ depth: Int
  ) throws(CheckpointError) -> Group {
    guard depth < Vocabulary.maximumDepth else {
      throw CheckpointError(
        .unsupported, "values lie more than \(Vocabulary.maximumDepth) levels deep", place: link)
    }
    return try hdf5 { () throws(HDF5Error) in
      let child = try group.createGroup(link)
      try child.writeAttribute(Vocabulary.encodingType, .string(encoding.rawValue))
      return child
    }
  }

  private mutating func write(
    _ dict: Dict, into group: borrowing Group, path: String, depth: Int, treePath: TreePath,
    reserved: Set<String> = []
  ) throws(CheckpointError) {
    try writeKind(of: dict, to: group, path: path)
    var links: [String] = []
    links.reserveCapacity(dict.count)
    let allInts = dict.hasOnlyIntKeys
    for entry in dict.entries {
      let link = LinkName.of(entry.key, allInts: allInts, reserved: reserved)
      try write(
        entry.value, in: group, link, path: path.isEmpty ? link : "\(path)/\(link)", depth: depth,
        treePath: treePath.appending(.key(entry.key)))
      links.append(link)
    }
    try hdf5 { () throws(HDF5Error) in try group.writeOrder(links) }
  }

  private func writeKind(
    of dict: Dict, to group: borrowing Group, path: String
  ) throws(CheckpointError) {
    let attributes = dict.attributes.isEmpty ? "" : PackedJSON.text(attributes: dict.attributes)
    try checkNesting(attributes.utf8, path)
    guard attributes.utf8.count <= maximumAttributeBytes else {
      throw CheckpointError(
        .unsupported,
        "attributes of \(attributes.utf8.count) bytes; at most \(maximumAttributeBytes) can "
          + "be stored", place: path)
    }
    try hdf5 { () throws(HDF5Error) in
      if path.isEmpty { try group.writeAttribute(Vocabulary.encodingType, .string(Encoding.dict.rawValue)) }
      if dict.kind != .plain {
        try group.writeAttribute(Vocabulary.kind, .string(PackedJSON.kindText(dict.kind)))
        let factory = PackedJSON.factory(of: dict.kind)
        if !factory.isEmpty { try group.writeAttribute(Vocabulary.factory, .string(factory)) }
      }
      if dict.hasOnlyIntKeys { try group.writeAttribute(Vocabulary.keys, .string("int")) }
      if !attributes.isEmpty { try group.writeAttribute(Vocabulary.attributes, .string(attributes)) }
    }
  }

  private mutating func write(
    _ record: Record, in group: borrowing Group, _ link: String, path: String, depth: Int, treePath: TreePath
  ) throws(CheckpointError) {
    let child = try makeGroup(group, link, .record, depth)
    try hdf5 { () throws(HDF5Error) in
      try child.writeAttribute(Vocabulary.recordType, .string(record.type))
    }
    var links: [String] = []
    for field in record.fields {
      let name = LinkName.escape(field.name)
      try write(
        field.value, in: child, name, path: "\(path)/\(name)", depth: depth + 1,
        treePath: treePath.appending(record.step(to: field.name)))
      links.append(name)
    }
    try hdf5 { () throws(HDF5Error) in try child.writeOrder(links) }
  }

  // MARK: - Tensors

  private mutating func write(
    _ tensor: Tensor, in group: borrowing Group, _ link: String, path: String
  ) throws(CheckpointError) {
    let index = table.index(of: tensor)
    if let index, let first = places[index] {
      return try writeAlias(tensor, of: listed[first].entry, in: group, link, path)
    }
    var entry = Manifest.Entry(path: path, dtype: tensor.dtype, shape: tensor.shape, range: 0..<0)
    entry.kind = tensor.kind
    entry.requiresGrad = tensor.requiresGrad
    guard tensor.shape.count <= Vocabulary.maximumRank else {
      throw CheckpointError(.unsupported, "\(tensor.shape.count) dimensions; HDF5 has at most 32", place: path)
    }
    let storage = StorageType.of(tensor.dtype)
    let offset = try hdf5 { () throws(HDF5Error) -> Int in
      let dataset = try group.createDataset(
        link, type: storage.type, shape: StorageType.shape(of: tensor), atPage: tensor.byteCount >= 1 << 20)
      try dataset.writeAttribute(Vocabulary.dtype, .string(tensor.dtype.rawValue))
      if !storage.isElement { try dataset.writeAttribute(Vocabulary.shape, .ints(tensor.shape.map(Int64.init))) }
      if let kind = tensor.kind.text { try dataset.writeAttribute(Vocabulary.kind, .string(kind)) }
      if tensor.requiresGrad { try dataset.writeAttribute(Vocabulary.requiresGrad, .bool(true)) }
      return tensor.byteCount == 0 ? 0 : Int(try dataset.offset ?? 0)
    }
    entry.range = offset..<(offset + tensor.byteCount)
    guard let index else {  // no bytes to write
      (entry.xxh3, entry.sha256) = (try tensor.digest(.xxh3), try tensor.digest(.sha256))
      return listed.append((entry, nil))
    }
    places[index] = listed.count
    listed.append((entry, jobs.count))
    jobs.append(Job(tensor: index, job: WriteJob(source: tensor.source, offset: offset)))
  }

  /// A tied tensor is a second hard link; where the two differ in what is no content of the dataset, a note.
  private mutating func writeAlias(
    _ tensor: Tensor, of first: Manifest.Entry, in group: borrowing Group, _ link: String, _ path: String
  ) throws(CheckpointError) {
    if tensor.kind == first.kind, tensor.requiresGrad == first.requiresGrad {
      try hdf5 { () throws(HDF5Error) in try group.createHardLink(link, to: "/" + first.path) }
    } else {
      try hdf5 { () throws(HDF5Error) in
        let note = try group.createDataset(link, type: .uint8, shape: .null)
        try note.writeAttribute(Vocabulary.encodingType, .string(Encoding.alias.rawValue))
        try note.writeAttribute(Vocabulary.target, .string("/" + first.path))
        if let kind = tensor.kind.text { try note.writeAttribute(Vocabulary.kind, .string(kind)) }
        if tensor.requiresGrad { try note.writeAttribute(Vocabulary.requiresGrad, .bool(true)) }
      }
    }
    var entry = first
    (entry.path, entry.aliasOf) = (path, first.path)
    (entry.kind, entry.requiresGrad) = (tensor.kind, tensor.requiresGrad)
    listed.append((entry, places[table.index(of: tensor) ?? -1].flatMap { listed[$0].job }))
  }

  // MARK: - Optimizers

  /// Writes an optimizer by parameter name; false, with a warning, where it does not fit that form.
  private mutating func writeOptimizer(
    _ dict: Dict, in group: borrowing Group, _ link: String, _ path: String, _ depth: Int, _ treePath: TreePath
  ) throws(CheckpointError) -> Bool {
    let form: OptimizerForm
    do throws(DoesNotFit) {
      form = try OptimizerForm(dict, names: names.of(treePath), tied: tied)
      try form.checkWidth()
    } catch {
      warnings.append("the optimizer at \(path) is stored as an ordinary dict: \(error.why)")
      return false
    }
    warnings.append(contentsOf: names.warnings(treePath))
    let child = try makeGroup(group, link, .optimizer, depth)
    try hdf5 { () throws(HDF5Error) in
      if let algorithm = names.algorithm(treePath) { try child.writeAttribute("algorithm", .string(algorithm)) }
      try form.writeColumns(to: child)
    }
    // Slot by slot, as it is read: what is tied is met in the same order.
    for slot in form.slots {
      guard let values = form.values[.string(slot)] else { continue }
      let slotLink = LinkName.escape(slot, reserved: OptimizerForm.ownedLinks)
      let slots = try hdf5 { () throws(HDF5Error) in try child.openGroup(slotLink) }
      for position in form.state {
        guard let value = values[position] else { continue }
        let name = LinkName.escape(form.names[position])
        try write(
          value, in: slots, name, path: "\(path)/\(slotLink)/\(name)", depth: depth + 2,
          treePath: treePath.appending(.key(.string(slot))))
      }
    }
    try writeGroups(form, to: child, "\(path)/param_groups", depth + 1, treePath)
    return true
  }

  private mutating func writeGroups(
    _ form: OptimizerForm, to optimizer: borrowing Group, _ path: String, _ depth: Int, _ treePath: TreePath
  ) throws(CheckpointError) {
    let groups = try makeGroup(optimizer, "param_groups", .list, depth)
    for (index, values) in form.groups.enumerated() {
      let group = try makeGroup(groups, String(index), .parameterGroup, depth + 1)
      var links: [String] = []
      for (name, value) in values.values {
        let link = LinkName.escape(name)
        links.append(link)
        if name == "params" {
          let members = values.members.map(Int64.init)
          try hdf5 { () throws(HDF5Error) in try group.writeColumn(link, .int64, elements: members) }
          continue
        }
        let attribute = value.attribute
        if let shown = attribute ?? value.shownAttribute, !Vocabulary.reservedInGroup.contains(name) {
          try hdf5 { () throws(HDF5Error) in try group.writeAttribute(name, shown) }
          if attribute != nil { continue }
        }
        try write(
          value, in: group, link, path: "\(path)/\(index)/\(link)", depth: depth + 2,
          treePath: treePath.appending(.key(.string(name))))
      }
      try hdf5 { () throws(HDF5Error) in try group.writeOrder(links) }
    }
  }
}

extension Encoding {
  init(_ kind: Value.Sequence) {
    switch kind {
    case .list: self = .list
    case .tuple: self = .tuple
    case .set: self = .set
    case .frozenset: self = .frozenset
    }
  }
}

extension Dict {
  var hasOnlyIntKeys: Bool {
    !entries.isEmpty
      && entries.allSatisfy { if case .int = $0.key { true } else { false } }
  }

  /// For the rare dictionary object whose own attributes hold tensors, or more than an attribute of HDF5 does.
  fileprivate var withAttributesAsRecord: Record {
    var plain = self
    plain.attributes = []
    return Record(Self.recordWithAttributes, [Record.Field("dict", .dict(plain))] + attributes)
  }

  static let recordWithAttributes = "python.dict_with_attributes"
}

extension Value {
  /// The bytes of a tensor-free container with many children: a group for each would cost more than it tells.
  fileprivate var packedForm: [UInt8]? {
    let count: Int
    switch self {
    case .dict(let dict): count = dict.hasOversizedKey ? .max : dict.count
    case .sequence(_, let items): count = LeafWriter.column(items) == nil ? items.count : 0
    case .record(let record): count = record.fields.count
    default: count = 0
    }
    return count > Vocabulary.maximumUnpackedChildren ? PackedJSON.bytes(self) : nil
  }

  /// Sources of tensors that occur more than once.
  fileprivate var tiedSources: Set<ObjectIdentifier> {
    var seen: Set<ObjectIdentifier> = []
    var tied: Set<ObjectIdentifier> = []
    forEachTensor { if !seen.insert(ObjectIdentifier($0.source)).inserted { tied.insert(ObjectIdentifier($0.source)) } }
    return tied
  }
}

extension Dict {
  fileprivate var hasOversizedKey: Bool {
    entries.contains { LinkName.of($0.key, allInts: false).utf8.count > Vocabulary.maximumNameBytes }
  }
}
