import Checkpoint

/// The attributes of a file's groups, which a tree has in one attribute of its root: of hundreds of dicts with attributes
/// of their own, formats that cannot hold them would tell hundreds of times.
///
/// `keras_groups` is a dict from the groups' paths to their attributes: `/layers/conv2d/vars` to `{name: 'first'}`.
enum KerasGroups {
  static let attribute = "keras_groups"

  /// The tree with the attributes of its groups at the root.
  static func hoisted(_ root: Dict) -> Dict {
    var groups: [Dict.Entry] = []
    var result = root
    result.entries = root.entries.map { hoisted($0, "", &groups) }
    if !groups.isEmpty { result.attributes.append(Record.Field(attribute, .dict(Dict(groups)))) }
    return result
  }

  private static func hoisted(_ entry: Dict.Entry, _ path: String, _ groups: inout [Dict.Entry]) -> Dict.Entry {
    guard case .dict(var dict) = entry.value else { return entry }
    let place = "\(path)/\(entry.key.text)"
    let fields = dict.attributes.filter { $0.name != KerasOptimizer.attribute }
    if !fields.isEmpty {
      let told = fields.map { Dict.Entry(.string($0.name), $0.value) }
      groups.append(Dict.Entry(.string(place), .dict(Dict(told))))
    }
    dict.attributes.removeAll { $0.name != KerasOptimizer.attribute }
    dict.entries = dict.entries.map { hoisted($0, place, &groups) }
    return Dict.Entry(entry.key, .dict(dict))
  }

  /// The tree with the attributes where they belong.
  static func lowered(_ root: Dict) -> Dict {
    guard case .dict(let groups)? = root.attributes.first(where: { $0.name == attribute })?.value else { return root }
    let told = Dictionary(groups.entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    var result = root
    result.attributes.removeAll { $0.name == attribute }
    result.entries = root.entries.map { lowered($0, "", told) }
    return result
  }

  private static func lowered(_ entry: Dict.Entry, _ path: String, _ told: [Key: Value]) -> Dict.Entry {
    guard case .dict(var dict) = entry.value else { return entry }
    let place = "\(path)/\(entry.key.text)"
    if case .dict(let fields)? = told[.string(place)] {
      dict.attributes += fields.entries.map { Record.Field($0.key.text, $0.value) }
    }
    dict.entries = dict.entries.map { lowered($0, place, told) }
    return Dict.Entry(entry.key, .dict(dict))
  }
}
