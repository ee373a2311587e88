import Checkpoint

/// A config as it was written, before anybody knows what it means: maps, lists and plain values, each with its place.
struct ConfigNode: Sendable {
  enum Content: Sendable {
    case map([Entry])
    case list([ConfigNode])
    /// None, a truth value, an int, a number or a text.
    case scalar(Value)
  }

  struct Entry: Sendable {
    var key: String
    /// Where the key stands.
    var place: ConfigPlace
    var value: ConfigNode
  }

  var content: Content
  var place: ConfigPlace

  /// What it is, in an error: `the text 'fast'`, `a list`.
  var description: String {
    switch content {
    case .map: "a map"
    case .list: "a list"
    case .scalar(.none): "nothing"
    case .scalar(.bool(let flag)): "\(flag)"
    case .scalar(.int(let number)): "\(number)"
    case .scalar(.double(let number)): "\(number)"
    case .scalar(.string(let text)): "'\(shortened(text))'"
    case .scalar: "something else"
    }
  }

  private func shortened(_ text: String) -> String { text.count > 60 ? text.prefix(59) + "…" : text }
}

/// Where a part of a config comes from.
enum ConfigPlace: Sendable, Equatable {
  /// A line and column of the file, counted from 1.
  case mark(line: Int, column: Int)
  /// A `--set` of the command line, as it was given.
  case option(String)
  /// The config that a checkpoint holds.
  case stored
}

extension ConfigNode {
  /// The config as it lies in a checkpoint: what was written, in its order.
  var value: Value {
    switch content {
    case .map(let entries): .dict(Dict(entries.map { Dict.Entry(.string($0.key), $0.value.value) }))
    case .list(let items): .sequence(.list, items.map(\.value))
    case .scalar(let value): value
    }
  }

  /// The config that a checkpoint holds.
  ///
  /// - Throws: `damaged` where there is something that no config can hold.
  init(_ value: Value, depth: Int = 0) throws(CheckpointError) {
    guard depth < Self.maxDepth else {
      throw CheckpointError(.damaged, "the stored config is more than \(Self.maxDepth) levels deep")
    }
    place = .stored
    switch value {
    case .none, .bool, .int, .double, .string: content = .scalar(value)
    case .sequence(_, let items):
      var nodes: [ConfigNode] = []
      for item in items { nodes.append(try ConfigNode(item, depth: depth + 1)) }
      content = .list(nodes)
    case .dict(let dict):
      var entries: [Entry] = []
      for entry in dict.entries {
        guard case .string(let key) = entry.key else {
          throw CheckpointError(.damaged, "the stored config has a key that is no text")
        }
        entries.append(Entry(key: key, place: .stored, value: try ConfigNode(entry.value, depth: depth + 1)))
      }
      content = .map(entries)
    default: throw CheckpointError(.damaged, "the stored config holds something that is no plain value")
    }
  }

  /// No sensible config is deeper; reading is recursive.
  static let maxDepth = 64
}
