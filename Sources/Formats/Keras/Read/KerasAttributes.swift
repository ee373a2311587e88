import Checkpoint
import HDF5

/// The attributes of a file's groups, of which there may be only so much.
struct KerasAttributes {
  private(set) var warnings: [String] = []
  private var bytes = 0

  /// What a group's attributes say: the order of what is in it, and all else.
  struct Found {
    var order: KerasOrder?
    /// The names in `layer_names` and `weight_names`.
    var names: [String] = []
    var fields: [Record.Field] = []
  }

  mutating func read(_ group: borrowing Group, _ path: String) throws(CheckpointError) -> Found {
    var found = Found()
    var lists: [(name: String, number: Int, items: [String])] = []
    for name in try hdf5({ () throws(HDF5Error) in try group.attributeNames() }) {
      guard let value = try value(group, name, path) else { continue }
      if let (base, number) = Self.list(name), let items = value.texts {
        lists.append((base, number, items))
      } else if let value = Value(of: value) {
        found.fields.append(Record.Field(name, value))
      } else {
        warnings.append("\(path): the attribute \(name) is left out: it is no number, text or list of them")
      }
    }
    guard !lists.isEmpty else { return found }
    // What is too long for one attribute goes on in the next: `layer_names0`, `layer_names1`, ….
    lists.sort { $0.number < $1.number }
    found.names = lists.filter { $0.name == Keras.layerNames }.flatMap(\.items)
    found.names += lists.filter { $0.name == Keras.weightNames }.flatMap(\.items)
    found.order = KerasOrder(found.names)
    return found
  }

  /// `layer_names12` is part 12 of `layer_names`.
  private static func list(_ name: String) -> (base: String, number: Int)? {
    for base in [Keras.layerNames, Keras.weightNames] where name.hasPrefix(base) {
      let rest = name.dropFirst(base.count)
      if rest.isEmpty { return (base, -1) }
      if rest.utf8.count < 10, let number = Int(rest), number >= 0 { return (base, number) }
    }
    return nil
  }

  /// - Throws: `unsupported` where all attributes together are too large: one text may be referred to many times.
  private mutating func value(
    _ group: borrowing Group, _ name: String, _ path: String
  ) throws(CheckpointError) -> AttributeValue? {
    let value: AttributeValue
    do throws(HDF5Error) {
      value = try group.readAttribute(name)
    } catch {
      guard error.kind == .unsupported else { throw CheckpointError(error) }
      warnings.append("\(path): the attribute \(name) is left out: \(error.reason)")
      return nil
    }
    bytes += value.textBytes
    guard bytes <= Keras.maximumText else {
      throw CheckpointError(
        .unsupported, "the attributes take more than \(Keras.maximumText) bytes; a model's description takes less",
        place: path, advice: "Do not trust this file.")
    }
    return value
  }
}

extension AttributeValue {
  /// A list of names; an empty one is written as one of floats.
  fileprivate var texts: [String]? {
    switch self {
    case .strings(let texts): texts
    case .string(let text): [text]
    case .empty: []
    case .doubles(let items) where items.isEmpty: []
    case .ints(let items) where items.isEmpty: []
    default: nil
    }
  }

  fileprivate var textBytes: Int {
    switch self {
    case .string(let text): text.utf8.count
    case .strings(let texts): texts.reduce(0) { $0 + $1.utf8.count + 16 }
    case .bools(let items): items.count
    case .ints(let items): items.count * 8
    case .doubles(let items): items.count * 8
    case .raw(_, _, let bytes): bytes.count
    default: 8
    }
  }
}

extension Value {
  /// An attribute's value; nil where it is neither a number, text nor a list of them.
  init?(of attribute: AttributeValue) {
    switch attribute {
    case .empty: self = .none
    case .bool(let flag): self = .bool(flag)
    case .int(let number): self = .int(number)
    case .uint(let number):
      guard let number = BigInt(decimal: String(number)) else { return nil }
      self = .bigInt(number)
    case .double(let number): self = .double(number)
    case .string(let text): self = .string(text)
    case .bools(let items): self = .sequence(.list, items.map(Value.bool))
    case .ints(let items): self = .sequence(.list, items.map(Value.int))
    case .doubles(let items): self = .sequence(.list, items.map(Value.double))
    case .strings(let items): self = .sequence(.list, items.map(Value.string))
    case .raw: return nil
    }
  }
}
