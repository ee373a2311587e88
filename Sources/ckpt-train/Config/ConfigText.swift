import Checkpoint
import Yams

/// Reads a config's YAML.
///
/// Anchors, aliases, tags and several documents are refused: no config needs them, and a short text with aliases can
/// stand for gigabytes.
enum ConfigText {
  static let maxBytes = 1 << 20

  /// - Throws: what is wrong, with its place.
  static func parse(_ text: String, file: String) throws(ConfigErrors) -> ConfigNode {
    func failure(_ line: Int, _ column: Int, _ message: String) -> ConfigErrors {
      ConfigErrors(
        file: file,
        problems: [ConfigProblem(place: .mark(line: line, column: column), path: "", message: message)])
    }
    guard text.utf8.count <= maxBytes else {
      throw failure(1, 1, "expected a config of at most \(maxBytes) bytes, found \(text.utf8.count)")
    }
    if let mark = YAMLMarks.firstReference(in: text) {
      throw failure(mark.line, mark.column, YAMLMarks.message(mark))
    }
    let root: Node?
    do {
      let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
      root = try parser.singleRoot()
    } catch let error as YamlError {
      let (line, column, message) = describe(error, text)
      throw failure(line, column, message)
    } catch {
      throw failure(1, 1, "cannot be read as YAML: \(error)")
    }
    guard let root else { throw failure(1, 1, "expected a config, found nothing") }
    let problems = ConfigProblems()
    let node = convert(root, "", 0, problems)
    guard problems.isEmpty else { throw ConfigErrors(file: file, problems: problems.sorted()) }
    return node
  }

  private static func convert(_ node: Node, _ path: String, _ depth: Int, _ problems: ConfigProblems) -> ConfigNode {
    let place = place(node)
    var result = ConfigNode(content: .scalar(.none), place: place)
    guard depth < ConfigNode.maxDepth else {
      problems.add(place, path, "expected at most \(ConfigNode.maxDepth) levels")
      return result
    }
    switch node {
    case .scalar(let scalar):
      if let value = value(scalar) {
        result.content = .scalar(value)
      } else {
        problems.add(place, path, "expected a plain value, found the tag \(scalar.tag)")
      }
    case .sequence(let items):
      var nodes: [ConfigNode] = []
      for item in items { nodes.append(convert(item, ConfigPath.join(path, "\(nodes.count)"), depth + 1, problems)) }
      result.content = .list(nodes)
    case .mapping(let pairs):
      var entries: [ConfigNode.Entry] = []
      for (key, value) in pairs {
        guard let name = key.scalar?.string else {
          problems.add(Self.place(key), path, "expected a key that is a word")
          continue
        }
        let node = convert(value, ConfigPath.join(path, name), depth + 1, problems)
        entries.append(ConfigNode.Entry(key: name, place: Self.place(key), value: node))
      }
      result.content = .map(entries)
    case .alias: problems.add(place, path, "aliases are not used in a config")
    }
    return result
  }

  private static func place(_ node: Node) -> ConfigPlace {
    .mark(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
  }

  /// nil for a tag of somebody's own.
  private static func value(_ scalar: Node.Scalar) -> Value? {
    switch scalar.tag.description {
    case "tag:yaml.org,2002:str", "!": .string(scalar.string)
    case "":
      scalar.style == .plain || scalar.style == .any
        ? Value(plainScalar: scalar.string) : .string(scalar.string)
    default: nil
    }
  }

  private static func describe(_ error: YamlError, _ text: String) -> (line: Int, column: Int, message: String) {
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let what = [context?.text, problem].compactMap(\.self).joined(separator: ", ")
      return (mark.line, mark.column, "is no YAML: \(what)")
    case .duplicatedKeysInMapping(let keys, let context):
      let names = keys.map { "'\($0)'" }.joined(separator: ", ")
      return (context.mark.line, context.mark.column, "expected each key once, found \(names) twice")
    case .reader(let problem, let offset, _, _):
      let (line, column) = YAMLMarks.position(ofCharacter: offset ?? 0, in: text)
      return (line, column, "is no text: \(problem)")
    default: return (1, 1, "cannot be read as YAML: \(error)")
    }
  }
}

/// Joins the keys that lead to a place.
enum ConfigPath {
  static func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}
