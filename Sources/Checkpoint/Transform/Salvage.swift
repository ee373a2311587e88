/// What is intact of a damaged checkpoint.
public struct Salvage: Sendable {
  /// Something that is not there any more.
  public struct Loss: Sendable, Equatable {
    /// Its path in the tree.
    public let path: String
    public let reason: String
  }

  /// The tree without the tensors whose bytes are damaged: entries of dictionaries are gone, and items of lists, whose
  /// places count, and parts of records are None.
  public private(set) var root: Value
  public private(set) var losses: [Loss] = []
  /// Sources that were looked at, and what is wrong with them.
  private var verdicts: [ObjectIdentifier: String?] = [:]

  /// Reads every tensor of a tree, in pieces.
  ///
  /// - Throws: `inputOutput` and the like. What is `damaged` is lost.
  public init(_ root: Value) throws(CheckpointError) {
    self.root = .none
    self.root = try sound(root, TreePath()) ?? .none
  }

  /// The value without what is lost; nil where it is a tensor that is.
  private mutating func sound(_ value: Value, _ path: TreePath) throws(CheckpointError) -> Value? {
    switch value {
    case .tensor(let tensor):
      guard let reason = try damage(of: tensor.source) else { return value }
      losses.append(Loss(path: path.text, reason: reason))
      return nil
    case .sequence(let kind, var items):
      for index in items.indices { items[index] = try sound(items[index], path.appending(.index(index))) ?? .none }
      return .sequence(kind, items)
    case .dict(var dict):
      var kept: [Dict.Entry] = []
      for entry in dict.entries {
        guard let value = try sound(entry.value, path.appending(.key(entry.key))) else { continue }
        kept.append(Dict.Entry(entry.key, value))
      }
      dict.entries = kept
      return .dict(dict)
    case .record(var record):
      for index in record.fields.indices {
        let field = record.fields[index]
        record.fields[index].value = try sound(field.value, path.appending(.field(field.name))) ?? .none
      }
      return .record(record)
    default: return value
    }
  }

  private mutating func damage(of source: any ByteSource) throws(CheckpointError) -> String? {
    let identity = ObjectIdentifier(source)
    if let known = verdicts[identity] { return known }
    var found: String?
    do throws(CheckpointError) {
      try source.forEachPiece(limit: 1 << 20) { (_) throws(CheckpointError) in }
    } catch {
      guard error.code == .damaged else { throw error }
      found = [error.place, error.message].compactMap(\.self).joined(separator: ": ")
    }
    verdicts[identity] = .some(found)
    return found
  }
}
