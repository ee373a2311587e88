import Checkpoint
import HDF5

/// Reads one HDF5 file of Keras: groups become dicts, datasets tensors, in the order that the file's lists of names say.
///
/// The file is one of a stranger. All links of a group are looked at before any object is opened, nothing is followed
/// that could lead elsewhere, and every size is held against what is stored before any data is touched (Keras itself
/// learnt that by CVE-2025-12060, CVE-2026-0897 and CVE-2026-1669).
struct KerasReader {
  /// A tensor's place in the tree, and where in the file its header is, which grows as Keras writes.
  struct Place {
    var path: [String]
    var address: UInt64
    var tensor: Tensor
  }

  let content: HDF5Content
  private(set) var places: [Place] = []
  private var groupAddresses: [[String]: UInt64] = [:]
  private(set) var warnings: [String] = []
  /// Names in the lists that lead to no dataset.
  private(set) var missing: [String] = []
  private var attributes = KerasAttributes()
  private var groups: Set<UInt64> = []
  private var datasets: [UInt64: Tensor] = [:]
  private var objects = 0
  private var extents = ExtentCheck()
  /// Bytes that chunked datasets say they have stored, all together.
  private var chunkedBytes: UInt64 = 0

  init(_ content: HDF5Content) { self.content = content }

  /// The whole tree.
  mutating func read() throws(CheckpointError) -> Dict {
    let file = try content.open()
    let root = try hdf5 { () throws(HDF5Error) in try file.root() }
    groups.insert(try hdf5 { () throws(HDF5Error) in try root.objectInfo().address })
    let dict = try read(root, [], order: nil)
    try extents.check()
    warnings += attributes.warnings
    try file.closeChecked()
    return dict
  }

  /// The tensors in the order in which their groups were written, those of a group in the order of their names.
  ///
  /// Headers lie one after the other as they are written, but that libhdf5 fills holes before them: so the last of what
  /// belongs to a layer tells where it comes.
  var writtenPlaces: [Place] {
    var last: [[String]: UInt64] = [:]
    for place in places {
      let group = Array(place.path.dropLast())
      let own = [groupAddresses[group] ?? 0, groupAddresses[Array(group.dropLast())] ?? 0, place.address]
      last[group] = max(last[group] ?? 0, own.max() ?? 0)
    }
    let keys = places.map { (group: last[Array($0.path.dropLast())] ?? 0, name: $0.path.last ?? "") }
    return places.indices.sorted { a, b in
      if keys[a].group != keys[b].group { return keys[a].group < keys[b].group }
      return KerasOrder.precedes(keys[a].name, keys[b].name)
    }.map { places[$0] }
  }

  private mutating func read(
    _ group: borrowing Group, _ path: [String], order inherited: KerasOrder?
  ) throws(CheckpointError) -> Dict {
    let text = "/" + path.joined(separator: "/")
    guard path.count <= Keras.maximumDepth else {
      throw CheckpointError(.unsupported, "groups lie deeper than \(Keras.maximumDepth) levels", place: text)
    }
    let links = try checkedLinks(group, text)
    let found = try attributes.read(group, text)
    let order = found.order ?? inherited ?? KerasOrder([])
    var entries: [Dict.Entry] = []
    entries.reserveCapacity(links.count)
    for index in order.sorted(links.map(\.name)) {
      let link = links[index]
      guard let object = link.object else { continue }
      let below = path + [link.name]
      switch object.kind {
      case .group:
        guard groups.insert(object.address).inserted else {
          throw CheckpointError(
            .unsupported, "is another link to a group that was met before", place: "/" + below.joined(separator: "/"),
            advice: "Keras writes no such links. Do not trust this file.")
        }
        groupAddresses[below] = object.address
        let child = try hdf5 { () throws(HDF5Error) in try group.openGroup(link.name) }
        entries.append(Dict.Entry(.string(link.name), .dict(try read(child, below, order: order.below(link.name)))))
      case .dataset:
        guard let tensor = try tensor(group, link.name, object.address, below) else { continue }
        entries.append(Dict.Entry(.string(link.name), .tensor(tensor)))
      case .namedType, .other: warnings.append("/\(below.joined(separator: "/")): no array; it is left out")
      }
    }
    let dict = Dict(entries, attributes: found.fields)
    for name in found.names where !dict.has(name) { missing.append(text == "/" ? "/\(name)" : "\(text)/\(name)") }
    return dict
  }

  /// The group's links, each of which leads to an object of this file.
  private mutating func checkedLinks(_ group: borrowing Group, _ text: String) throws(CheckpointError) -> [Link] {
    let count = try hdf5 { () throws(HDF5Error) in try group.linkCount }
    guard count <= Keras.maximumObjects - objects else {
      throw CheckpointError(.unsupported, "more than \(Keras.maximumObjects) objects in the file", place: text)
    }
    for link in try hdf5({ () throws(HDF5Error) in try group.links(objects: false) }) where link.kind != .hard {
      throw CheckpointError(
        .unsupported, "is a link that leads elsewhere (\(link.kind.inWords)), which is not followed",
        place: text == "/" ? "/\(link.name)" : "\(text)/\(link.name)",
        advice: "Keras writes no such links: this file would read others. Do not load it with Python.")
    }
    let links = try hdf5 { () throws(HDF5Error) in try group.links() }
    objects += links.count
    return links
  }

  // MARK: - Datasets

  /// The tensor; nil, with a warning, for what is no array of numbers.
  private mutating func tensor(
    _ group: borrowing Group, _ name: String, _ address: UInt64, _ path: [String]
  ) throws(CheckpointError) -> Tensor? {
    let text = "/" + path.joined(separator: "/")
    do throws(CheckpointError) {
      if let known = datasets[address] {
        places.append(Place(path: path, address: address, tensor: known))
        return known
      }
      let dataset = try hdf5 { () throws(HDF5Error) in try group.openDataset(name) }
      guard let tensor = try read(dataset, text) else { return nil }
      datasets[address] = tensor
      places.append(Place(path: path, address: address, tensor: tensor))
      return tensor
    } catch {
      throw error.place == text ? error : error.at(text)
    }
  }

  private mutating func read(_ dataset: borrowing Dataset, _ text: String) throws(CheckpointError) -> Tensor? {
    let (type, shape, layout, stored) = try hdf5 { () throws(HDF5Error) in
      (try dataset.type, try dataset.shape, try dataset.layout, try dataset.storageSize)
    }
    if case .chunked = layout {
      // What each claims for itself is checked below; together they may not claim more than the file has.
      let (sum, overflow) = chunkedBytes.addingReportingOverflow(stored)
      guard !overflow, sum <= UInt64(content.count) else {
        throw CheckpointError(
          .damaged, "its chunks and those before it are said to take \(sum) bytes of a file of \(content.count)",
          advice: "The file is a decompression bomb.")
      }
      chunkedBytes = sum
    }
    switch type {
    case .variableString, .fixedString, .other:
      warnings.append("\(text): left out: \(type.description) is no type of numbers")
      return nil
    default: break
    }
    guard shape != .null else {
      warnings.append("\(text): left out: an empty dataspace")
      return nil
    }
    let bytes = try StoredBytes(dataset, in: content, path: String(text.dropFirst()))
    if let range = bytes.range { extents.add(range, String(text.dropFirst())) }
    guard case .opaque = type else { return try bytes.tensor() }
    return try opaque(dataset, bytes, text)
  }

  /// NumPy's types beyond its own reach HDF5 as opaque bytes. Keras says what they are for bfloat16 only.
  private mutating func opaque(
    _ dataset: borrowing Dataset, _ bytes: StoredBytes, _ text: String
  ) throws(CheckpointError) -> Tensor? {
    let said = try hdf5 { () throws(HDF5Error) -> AttributeValue? in
      try dataset.hasAttribute("dtype") ? try dataset.readAttribute("dtype") : nil
    }
    if case .string(let name)? = said, let dtype = DType(rawValue: name), dtype.itemSize == bytes.type.byteCount {
      return try bytes.tensor(as: dtype)
    }
    let dtype: DType? =
      switch bytes.type.byteCount {
      case 1: .bits8
      case 2: .bits16
      default: nil
      }
    guard let dtype else {
      warnings.append("\(text): left out: \(bytes.type.description) is no type of numbers")
      return nil
    }
    warnings.append("\(text): \(bytes.type.byteCount) bytes an element of a type that the file does not tell")
    return try bytes.tensor(as: dtype)
  }
}

extension Link.Kind {
  fileprivate var inWords: String {
    switch self {
    case .hard: "hard"
    case .soft(let target): "soft, to \(target)"
    case .external(let file, let target): "external, to \(target) in \(file)"
    case .userDefined: "user-defined"
    }
  }
}

extension Dict {
  /// Whether there is something at a path with slashes.
  fileprivate func has(_ path: String) -> Bool {
    var value = Value.dict(self)
    for part in path.split(separator: "/") {
      guard case .dict(let dict) = value, let next = dict[String(part)] else { return false }
      value = next
    }
    return true
  }
}
