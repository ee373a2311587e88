import Checkpoint

/// Puts the tree of a flat file together again.
enum FlatTree {
  /// Packed JSON puts up to four brackets around a dictionary's value, and readers bound the depth of trees.
  static let maximumNesting = 1024

  /// The checkpoint that `rest` tells, with the file's tensors in their places, and the digest that the writer took.
  ///
  /// - Parameters:
  ///   - tensors: all that the file has, by name.
  ///   - rest: what the writer kept under `ckpt.training`.
  /// - Throws: `damaged` for what no writer wrote, and when the file has other tensors than the rest tells of;
  ///   `unsupported` for a later version.
  static func checkpoint(
    _ tensors: [(name: String, tensor: Tensor)], rest: [UInt8]
  ) throws(CheckpointError) -> Checkpoint {
    let (skeleton, digest) = try skeleton(rest)
    var builder = Builder(tensors)
    let root = try builder.fill(skeleton)
    guard builder.missing == nil, builder.used.count == tensors.count else {
      throw CheckpointError(.damaged, builder.mismatch(tensors.map(\.name)))
    }
    return Checkpoint(root: root, recordedDigest: digest)
  }

  /// Holds tensors that are there under two names, since the format has no ties, against each other.
  ///
  /// - Throws: `damaged` where they differ: the tree has only one of them.
  static func checkCopies(
    _ tensors: [(name: String, tensor: Tensor)], rest: [UInt8]
  ) throws(CheckpointError) {
    var copies: [(String, String)] = []
    try addCopies(of: skeleton(rest).tree, to: &copies)
    let known = Dictionary(tensors.map { (Key.string($0.name), $0.tensor) }, uniquingKeysWith: { first, _ in first })
    for (name, also) in copies {
      guard let one = known[.string(name)], let other = known[.string(also)] else { continue }
      guard try one.digest() == other.digest() else {
        throw CheckpointError(
          .damaged, "is tied to '\(name)', and has other bytes", place: "tensor '\(also)'",
          advice: "The file is damaged, or was edited by another program.")
      }
    }
  }

  private static func addCopies(of value: Value, to copies: inout [(String, String)]) throws(CheckpointError) {
    switch value {
    case .record(let record) where FlatReference.isOne(record):
      let reference = try FlatReference(record)
      if let also = reference.also { copies.append((reference.name, also)) }
    case .record(let record): for field in record.fields { try addCopies(of: field.value, to: &copies) }
    case .sequence(_, let items): for item in items { try addCopies(of: item, to: &copies) }
    case .dict(let dict):
      for entry in dict.entries { try addCopies(of: entry.value, to: &copies) }
      for field in dict.attributes { try addCopies(of: field.value, to: &copies) }
    default: break
    }
  }

  /// For a file that another program changed since: names and tensors are still to be had.
  static func warning(_ error: CheckpointError) -> String {
    let place = error.place.map { "\($0): " } ?? ""
    return
      "'\(FlatCheckpoint.key)' does not fit the file, so names and tensors alone are read: \(place)\(error.message)"
  }

  private static func skeleton(_ rest: [UInt8]) throws(CheckpointError) -> (tree: Value, digest: String?) {
    let value = try PackedJSON.value(rest, nesting: maximumNesting + 1)
    guard case .dict(let dict) = value, case .int(let version)? = dict["version"], let tree = dict["tree"] else {
      throw CheckpointError(.damaged, "needs a version and a tree")
    }
    guard version == 1 else {
      throw CheckpointError(
        .unsupported, "version \(version) of \(FlatCheckpoint.key); 1 is known", advice: "A newer ckpt wrote it.")
    }
    if case .string(let digest)? = dict["content_digest"] { return (tree, digest) }
    return (tree, nil)
  }

  private struct Builder {
    private let tensors: [Key: Tensor]
    /// What each name was first taken for. A name has one type and shape, or a small file could claim to be a huge one.
    private var taken: [Key: Tensor] = [:]
    private(set) var used: Set<Key> = []
    /// The first name that the file does not have.
    private(set) var missing: String?

    init(_ items: [(name: String, tensor: Tensor)]) {
      tensors = Dictionary(items.map { (Key.string($0.name), $0.tensor) }, uniquingKeysWith: { first, _ in first })
    }

    mutating func fill(_ value: Value) throws(CheckpointError) -> Value {
      switch value {
      case .record(let record) where FlatReference.isOne(record):
        let reference = try FlatReference(record)
        guard let stored = tensors[.string(reference.name)] else {
          if missing == nil { missing = reference.name }
          return .none
        }
        used.insert(.string(reference.name))
        if let also = reference.also, tensors[.string(also)] != nil { used.insert(.string(also)) }
        do throws(CheckpointError) { return .tensor(try take(reference, stored)) } catch {
          throw error.at("tensor '\(reference.name)'")
        }
      case .record(var record):
        for index in record.fields.indices { record.fields[index].value = try fill(record.fields[index].value) }
        return .record(record)
      case .sequence(let kind, var items):
        for index in items.indices { items[index] = try fill(items[index]) }
        return .sequence(kind, items)
      case .dict(var dict):
        for index in dict.entries.indices { dict.entries[index].value = try fill(dict.entries[index].value) }
        for index in dict.attributes.indices { dict.attributes[index].value = try fill(dict.attributes[index].value) }
        return .dict(dict)
      default: return value
      }
    }

    private mutating func take(_ reference: FlatReference, _ stored: Tensor) throws(CheckpointError) -> Tensor {
      let tensor = try reference.tensor(from: stored)
      if let first = taken.updateValue(tensor, forKey: .string(reference.name)) {
        guard first.dtype == tensor.dtype, first.shape == tensor.shape else {
          throw CheckpointError(.damaged, "is told of with two types or shapes")
        }
      }
      return tensor
    }

    func mismatch(_ names: [String]) -> String {
      if let missing { return "tells of a tensor '\(missing)' that the file does not have" }
      let extra = names.first { !used.contains(.string($0)) } ?? ""
      return "does not tell of the tensor '\(extra)' that the file has"
    }
  }
}
