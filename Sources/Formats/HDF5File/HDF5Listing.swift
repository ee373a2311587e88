public import Checkpoint
import HDF5

/// What is in an HDF5 file of any program: groups, datasets and attributes in order. Nothing but their headers is read,
/// and no link is followed that could lead out of the tree.
public struct HDF5Listing: Sendable {
  public struct Attribute: Sendable {
    public let name: String
    /// The value, shortened where it is long; why it cannot be read, where it cannot.
    public let value: Value
  }

  public struct Node: Sendable {
    public enum Kind: Sendable {
      case group
      /// `storage` is what the data takes in the file; `layout` is empty for plain contiguous data.
      case dataset(type: String, shape: [Int], bytes: Int?, storage: Int, layout: String)
      /// A soft or external link, a named type, an object that was listed before: in words.
      case other(String)
    }

    /// The links' names from the root.
    public let path: [String]
    public let kind: Kind
    public let attributes: [Attribute]
  }

  /// The root first, every group before what is in it.
  public private(set) var nodes: [Node] = []
  public private(set) var warnings: [String] = []

  static let maximumNodes = 200_000
  static let maximumDepth = 64
  private var seen: Set<UInt64> = []

  /// Whether it is an HDF5 file, and the root does not say that it is ours.
  public static func isForeign(_ start: FileStart) -> Bool {
    start.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) && !NativeFormat.recognises(start.path)
  }

  /// - Throws: `damaged`, `unsupported` when libhdf5 cannot open it.
  public init(_ path: String) throws(CheckpointError) {
    do throws(CheckpointError) {
      let file = try hdf5 { () throws(HDF5Error) in try File.open(path, .readOnly) }
      let root = try hdf5 { () throws(HDF5Error) in try file.root() }
      let address = try hdf5 { () throws(HDF5Error) in try root.objectInfo().address }
      seen.insert(address)
      nodes.append(Node(path: [], kind: .group, attributes: attributes(of: root)))
      list(root, [])
    } catch {
      throw error.inFile(path)
    }
  }

  private mutating func list(_ group: borrowing Group, _ path: [String]) {
    let links: [Link]
    do throws(HDF5Error) { links = try group.links() } catch { return warn(path, error) }
    for link in links {
      guard nodes.count < Self.maximumNodes else {
        if warnings.last?.hasPrefix("more than") != true {
          warnings.append("more than \(Self.maximumNodes) objects; the rest is not listed")
        }
        return
      }
      do throws(HDF5Error) { try visit(link, in: group, path + [link.name]) } catch { warn(path + [link.name], error) }
    }
  }

  private mutating func visit(_ link: Link, in group: borrowing Group, _ path: [String]) throws(HDF5Error) {
    switch link.kind {
    case .hard: break
    case .soft(let target): return other(path, "soft link to \(target)")
    case .external(let file, let target): return other(path, "external link to \(target) in \(file)")
    case .userDefined: return other(path, "user-defined link")
    }
    guard let object = link.object else { return other(path, "an object that cannot be looked at") }
    guard seen.insert(object.address).inserted else { return other(path, "another link to an object listed before") }
    switch object.kind {
    case .group:
      let child = try group.openGroup(link.name)
      nodes.append(Node(path: path, kind: .group, attributes: attributes(of: child)))
      guard path.count < Self.maximumDepth else {
        return warnings.append("groups below level \(Self.maximumDepth) are not listed")
      }
      list(child, path)
    case .dataset:
      let dataset = try group.openDataset(link.name)
      nodes.append(Node(path: path, kind: try Self.describe(dataset), attributes: attributes(of: dataset)))
    case .namedType: other(path, "named type")
    case .other: other(path, "an object of an unknown kind")
    }
  }

  private mutating func other(_ path: [String], _ what: String) {
    nodes.append(Node(path: path, kind: .other(what), attributes: []))
  }

  private mutating func warn(_ path: [String], _ error: HDF5Error) {
    warnings.append("/\(path.joined(separator: "/")): \(error.operation): \(error.reason)")
  }

  private static func describe(_ dataset: borrowing Dataset) throws(HDF5Error) -> Node.Kind {
    let type = try dataset.type
    let shape = try dataset.shape
    var layout = ""
    switch try dataset.layout {
    case .contiguous: layout = try dataset.externalFileCount > 0 ? "external" : ""
    case .compact: layout = "compact"
    case .virtual: layout = "virtual"
    case .chunked(let dimensions):
      layout = "chunks of \(dimensions.map(String.init).joined(separator: "x"))"
      let filters = try dataset.filters.map { $0.name.isEmpty ? "filter \($0.id)" : $0.name }
      if !filters.isEmpty { layout += ", \(filters.joined(separator: " and "))" }
    }
    return .dataset(
      type: type.description, shape: shape.dimensions, bytes: shape.byteCount(elementBytes: type.byteCount),
      storage: Int(clamping: try dataset.storageSize), layout: layout)
  }
}

// MARK: - Attributes

extension HDF5Listing {
  private static let maximumAttributes = 64
  private static let maximumItems = 16

  private func attributes<Object: HDF5Object & ~Copyable>(of object: borrowing Object) -> [Attribute] {
    let names: [String]
    do throws(HDF5Error) { names = try object.attributeNames() } catch {
      return [Attribute(name: "?", value: .string("unreadable: \(error.reason)"))]
    }
    return names.prefix(Self.maximumAttributes).map { name in
      do throws(HDF5Error) {
        return Attribute(name: name, value: Self.value(try object.readAttribute(name)))
      } catch {
        return Attribute(name: name, value: .string("unreadable: \(error.reason)"))
      }
    }
  }

  private static func value(_ value: AttributeValue) -> Value {
    switch value {
    case .empty: .none
    case .bool(let flag): .bool(flag)
    case .int(let number): .int(number)
    case .uint(let number): BigInt(decimal: String(number)).map(Value.bigInt) ?? .none
    case .double(let number): .double(number)
    case .string(let text): .string(text)
    case .bools(let items): list(items) { .bool($0) }
    case .ints(let items): list(items) { .int($0) }
    case .doubles(let items): list(items) { .double($0) }
    case .strings(let items): list(items) { .string($0) }
    case .raw(let type, let shape, _): .string("\(type) \(shape.dimensions)")
    }
  }

  private static func list<Item>(_ items: [Item], _ value: (Item) -> Value) -> Value {
    let shown = items.prefix(maximumItems).map(value)
    return .sequence(.list, items.count > maximumItems ? shown + [.string("… \(items.count) in all")] : shown)
  }
}
