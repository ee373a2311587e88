import Checkpoint

/// The `--set key=value`s of a command line, applied to a config.
enum Overrides {
  /// The config with the values changed. Keys lead through maps by name and through lists by number; maps that a key
  /// needs and that are not there are made, and what is then unknown is found when the config is read.
  ///
  /// - Throws: every `--set` that does not fit.
  static func apply(_ texts: [String], to root: ConfigNode, file: String) throws(ConfigErrors) -> ConfigNode {
    var result = root
    var problems: [ConfigProblem] = []
    for text in texts {
      do throws(ConfigErrors) {
        try apply(text, &result, file)
      } catch {
        problems += error.problems.map { ConfigProblem(place: .option(text), path: $0.path, message: $0.message) }
      }
    }
    guard problems.isEmpty else { throw ConfigErrors(file: file, problems: problems) }
    return result
  }

  /// The key of a `--set`.
  static func key(of text: String) -> String { String(text.prefix { $0 != "=" }) }

  private static func apply(_ text: String, _ root: inout ConfigNode, _ file: String) throws(ConfigErrors) {
    let key = key(of: text)
    let keys = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard keys.count <= ConfigNode.maxDepth, keys.allSatisfy({ !$0.isEmpty }) else {
      throw failure(text, file, "", "expected keys joined with '.', found '\(key)'")
    }
    let value = try ConfigText.parse(String(text.dropFirst(key.count + 1)), orNothing: file)
    try set(value.placed(.option(text)), keys[...], "", &root, text, file)
    if let other = lengths[key] { root = root.without(other) }
  }

  /// How long a run is can be said in two ways; what is said last counts.
  private static let lengths = ["steps": "epochs", "epochs": "steps"]

  private static func failure(_ text: String, _ file: String, _ path: String, _ message: String) -> ConfigErrors {
    ConfigErrors(file: file, problems: [ConfigProblem(place: .option(text), path: path, message: message)])
  }

  private static func set(
    _ value: ConfigNode, _ keys: ArraySlice<String>, _ path: String, _ node: inout ConfigNode, _ text: String,
    _ file: String
  ) throws(ConfigErrors) {
    guard let key = keys.first else {
      node = value
      return
    }
    switch node.content {
    case .list(var items):
      guard let index = Int(key), items.indices.contains(index) else {
        let range = items.isEmpty ? "an empty list" : "a list with the numbers 0 to \(items.count - 1)"
        throw failure(text, file, path, "expected a number of \(range), found '\(key)'")
      }
      try set(value, keys.dropFirst(), ConfigPath.join(path, key), &items[index], text, file)
      node.content = .list(items)
    case .map(var entries):
      if let index = entries.firstIndex(where: { $0.key.hasSameBytes(as: key) }) {
        try set(value, keys.dropFirst(), ConfigPath.join(path, key), &entries[index].value, text, file)
      } else {
        entries.append(ConfigNode.Entry(key: key, place: .option(text), value: nest(value, keys.dropFirst())))
      }
      node.content = .map(entries)
    case .scalar(.none): node = ConfigNode(content: nest(value, keys).content, place: node.place)
    case .scalar:
      throw failure(text, file, path, "expected a map or a list to go into with '\(key)', found \(node.description)")
    }
  }

  /// `{a: {b: value}}` for the keys a, b.
  private static func nest(_ value: ConfigNode, _ keys: ArraySlice<String>) -> ConfigNode {
    keys.reversed().reduce(value) { inner, key in
      ConfigNode(
        content: .map([ConfigNode.Entry(key: key, place: value.place, value: inner)]), place: value.place)
    }
  }
}

extension ConfigNode {
  /// The same with one place for all of its parts.
  func placed(_ place: ConfigPlace) -> ConfigNode {
    switch content {
    case .scalar: ConfigNode(content: content, place: place)
    case .list(let items): ConfigNode(content: .list(items.map { $0.placed(place) }), place: place)
    case .map(let entries):
      ConfigNode(
        content: .map(entries.map { Entry(key: $0.key, place: place, value: $0.value.placed(place)) }), place: place)
    }
  }
}

extension ConfigText {
  /// A value of a command line; an empty one is nothing.
  static func parse(_ text: String, orNothing file: String) throws(ConfigErrors) -> ConfigNode {
    let isEmpty = text.utf8.allSatisfy { $0 == 0x20 }
    return isEmpty ? ConfigNode(content: .scalar(.none), place: .stored) : try parse(text, file: file)
  }
}
