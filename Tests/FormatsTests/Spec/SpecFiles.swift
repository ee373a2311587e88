import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// An HDF5 file, all of it, as the HDF5 module sees it: no code of the format has a part in it.
struct Survey {
  struct Node {
    var address: UInt64
    var attributes: [String: AttributeValue]
    /// In order of creation; nil for a dataset.
    var links: [String]?
    var order: [UInt32]?
    var type: Datatype?
    var shape: Shape?
    var layout: Dataset.Layout?
    var offset: Int?
    var bytes: [UInt8] = []

    var isGroup: Bool { links != nil }
    var encoding: String? { text("encoding-type") }

    func text(_ name: String) -> String? {
      if case .string(let text) = attributes[name] { text } else { nil }
    }

    /// A column of fixed-length text.
    var texts: [String] {
      guard case .fixedString(let width, true, .nullPadded) = type else { return [] }
      return stride(from: 0, to: bytes.count, by: width).map {
        String(decoding: bytes[$0..<($0 + width)].reversed().drop { $0 == 0 }.reversed(), as: UTF8.self)
      }
    }

    func numbers<T: FixedWidthInteger>(_ type: T.Type) -> [T] {
      let size = MemoryLayout<T>.size
      return bytes.withUnsafeBytes { buffer in
        (0..<(bytes.count / size)).map {
          T(littleEndian: buffer.loadUnaligned(fromByteOffset: $0 * size, as: T.self))
        }
      }
    }
  }

  /// Paths by their bytes, in order of the walk. Swift's strings are equal where their letters are.
  private(set) var paths: [String] = []
  private(set) var linkKinds: [Link.Kind] = []
  private var nodes: [[UInt8]: Node] = [:]

  init(_ path: String) throws {
    let file = try File.open(path, .readOnly)
    try visit(try file.root(), "")
    try file.close()
  }

  /// The object at a path without the leading slash; the root is "".
  subscript(path: String) -> Node? { nodes[Array(path.utf8)] }

  func node(_ path: String) throws -> Node { try unwrapped(self[path]) }

  var all: [Node] { paths.compactMap { self[$0] } }

  private mutating func visit(_ group: borrowing Group, _ path: String) throws {
    let links = try group.links()
    var node = Node(address: try group.objectInfo().address, attributes: try attributes(of: group))
    node.links = links.map(\.name)
    if node.attributes["order"] != nil { node.order = try group.readUInt32Attribute("order") }
    add(node, path)
    for link in links {
      linkKinds.append(link.kind)
      let child = path.isEmpty ? link.name : "\(path)/\(link.name)"
      switch link.object?.kind {
      case .group: try visit(try group.openGroup(link.name), child)
      case .dataset: try visit(try group.openDataset(link.name), child)
      default: Issue.record("\(child) is no group and no dataset")
      }
    }
  }

  private mutating func visit(_ dataset: borrowing Dataset, _ path: String) throws {
    var node = Node(address: try dataset.objectInfo().address, attributes: try attributes(of: dataset))
    (node.type, node.shape, node.layout) = (try dataset.type, try dataset.shape, try dataset.layout)
    node.offset = try dataset.offset.map { Int($0) }
    node.bytes = [UInt8](
      repeating: 0, count: try unwrapped(node.shape?.byteCount(elementBytes: node.type?.byteCount ?? 0)))
    if !node.bytes.isEmpty { try node.bytes.withUnsafeMutableBytes { try dataset.read(into: $0) } }
    add(node, path)
  }

  private mutating func add(_ node: Node, _ path: String) {
    paths.append(path)
    nodes[Array(path.utf8)] = node
  }

  private func attributes<Object: HDF5Object & ~Copyable>(of object: borrowing Object) throws -> [String:
    AttributeValue]
  {
    var values: [String: AttributeValue] = [:]
    for name in try object.attributeNames() { values[name] = try object.readAttribute(name) }
    return values
  }
}

/// Changes a file as another program would: through HDF5, knowing nothing of the format.
func edit(_ path: String, _ body: (borrowing Group) throws -> Void) throws {
  let file = try File.open(path, .readWrite)
  try body(try file.root())
  try file.close()
}

/// Does `body` with the group at a path below `root`.
func within(_ root: borrowing Group, _ path: String, _ body: (borrowing Group) throws -> Void) throws {
  guard let first = path.split(separator: "/").first.map(String.init) else { return try body(root) }
  try within(try root.openGroup(first), String(path.dropFirst(first.count + 1)), body)
}

/// Makes a file with our marker and whatever `body` puts into it.
func craft(_ path: String, root location: String = "/", _ body: (borrowing Group) throws -> Void) throws {
  let file = try File.create(path, truncating: true)
  let root = try file.root()
  try root.writeAttribute("format", .string("ckpt"))
  try root.writeAttribute("format_version", .string("1.0"))
  try root.writeAttribute("root", .string(location))
  try body(root)
  try file.close()
}

extension Group {
  /// Replaces an attribute, or adds it.
  func set(_ name: String, _ value: AttributeValue) throws {
    if try hasAttribute(name) { try removeAttribute(name) }
    try writeAttribute(name, value)
  }

  /// A dataset with its bytes and attributes.
  func put(
    _ name: String, _ type: Datatype, _ shape: Shape, _ bytes: [UInt8], _ attributes: [String: AttributeValue]
  ) throws {
    let dataset = try createDataset(name, type: type, shape: shape)
    for (name, value) in attributes { try dataset.writeAttribute(name, value) }
    if !bytes.isEmpty { try bytes.withUnsafeBytes { try dataset.write($0) } }
  }

  func putInt(_ name: String, _ value: Int64) throws {
    try put(name, .int64, .scalar, littleEndian([value]), ["encoding-type": .string("int")])
  }

  /// A group that says what it is.
  func putGroup(_ name: String, _ encoding: String, _ body: (borrowing Group) throws -> Void = { _ in }) throws {
    let group = try createGroup(name)
    try group.writeAttribute("encoding-type", .string(encoding))
    try body(group)
  }
}

func littleEndian<T: FixedWidthInteger>(_ values: [T]) -> [UInt8] {
  values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}

func littleEndian(_ values: [Double]) -> [UInt8] { littleEndian(values.map(\.bitPattern)) }

func littleEndian(_ values: [Float]) -> [UInt8] { littleEndian(values.map(\.bitPattern)) }

/// Writes a tree and looks at the file.
func surveyed(_ root: Value, _ folder: TemporaryFolder) throws -> Survey {
  try NativeFormat.write(root, to: folder.file("x.h5"), options: replacing)
  return try Survey(folder.file("x.h5"))
}

/// Options that replace what is there.
var replacing: NativeFormat.WriteOptions {
  var options = NativeFormat.WriteOptions()
  (options.replaces, options.synced) = (true, false)
  return options
}

/// Whether two trees are the same in every type, key, order and byte.
func sameContent(_ a: Value, _ b: Value) throws -> Bool {
  try ContentDigest.compute(a) == ContentDigest.compute(b)
}

/// What reading the file fails with; empty where it does not.
func refusal(_ path: String) -> String {
  do {
    _ = try ContentDigest.compute(try NativeFormat.read(path).root)
    return ""
  } catch {
    return "\(error)"
  }
}

func problems(_ path: String) -> [String] {
  do {
    return try NativeFormat.verify(path).problems.map { "\($0.place): \($0.what)" }
  } catch {
    return ["\(error)"]
  }
}

/// `{"state": …, "param_groups": […]}`
func optimizer(_ state: [(Key, Value)], _ groups: [Value], stateFirst: Bool = true) -> Value {
  let state = Dict.Entry(.string("state"), .dict(Dict(state.map { Dict.Entry($0.0, $0.1) })))
  let groups = Dict.Entry(.string("param_groups"), .sequence(.list, groups))
  return .dict(Dict(stateFirst ? [state, groups] : [groups, state]))
}

/// A parameter group of these members, with more entries before them.
func group(_ params: [Value], _ entries: (String, Value)...) -> Value {
  .dict(Dict((entries + [("params", .sequence(.list, params))]).map { Dict.Entry(.string($0.0), $0.1) }))
}
