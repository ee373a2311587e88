/// A model that lies in many small dicts, one for each layer, as Keras keeps them: its parts are one model all the same.
public enum NestedModel {
  /// The attribute of the root of a tree that was read from one of Keras' files.
  public static let attribute = "keras_file"

  /// All state dicts of such a tree as one, the names being paths; nil for any other tree.
  public static func joined(_ root: Value, _ sections: [Section]) -> StateDict? {
    guard case .dict(let dict) = root, dict.attributes.contains(where: { $0.name.hasSameBytes(as: attribute) }) else {
      return nil
    }
    var entries: [Dict.Entry] = []
    for section in sections where section.kind == .stateDict {
      guard case .dict(let part)? = root[section.path] else { continue }
      let place = section.text.isEmpty ? "" : section.text + "."
      entries += part.entries.map { Dict.Entry(.string(place + $0.key.text), $0.value) }
    }
    return StateDict(.dict(Dict(entries)))
  }
}
