import Checkpoint

/// What a safetensors file, or a set of them, says of a tree: names and tensors, and text.
struct SafetensorsPlan {
  /// One file's tensors, and the text that it has with them.
  struct File {
    var items: [FlatCheckpoint.Item] = []
    var metadata: [(key: String, value: String)] = []
  }

  let items: [FlatCheckpoint.Item]
  let warnings: [String]
  /// Everything else of the tree; nil where names and tensors say it all, or where it is left out. Until the digest is
  /// known there are zeros in its place.
  private(set) var rest: String?
  private let root: Value
  private let flat: FlatCheckpoint
  private let ties: [(name: String, kept: String)]
  /// The text that the tree came with, or what says that the names are PyTorch's.
  private let text: [(key: String, value: String)]

  /// The tree's names and tensors, before it is known whether one file will hold them.
  static func flat(_ root: Value) throws(CheckpointError) -> FlatCheckpoint {
    try FlatCheckpoint(root, keepsTies: false, carry: SafetensorsCarry.stored)
  }

  /// What one file says of a tree.
  init(_ root: Value, leavesRest: Bool) throws(CheckpointError) {
    try self.init(root, Self.flat(root), isSet: false, leavesRest: leavesRest)
  }

  /// - Parameters:
  ///   - flat: of the tree, by `flat(_:)`.
  ///   - isSet: whether several files will hold it, which readers sort by name.
  ///   - leavesRest: write names and tensors alone, as other programs do.
  init(_ root: Value, _ flat: FlatCheckpoint, isSet: Bool, leavesRest: Bool) throws(CheckpointError) {
    (self.root, self.flat) = (root, flat)
    items = flat.items
    ties = flat.ties.filter { !$0.name.hasSameBytes(as: SafetensorsFile.framework) }
    let own = Self.metadata(of: root)
    let told = Self.withoutTies(own.text, flat)
    let isBare =
      flat.isPlain && own.isWhole && told.count == own.text.count && ties.count == flat.ties.count
      && Self.hasPlainOrder(root, flat, isSet: isSet)
    rest = leavesRest || isBare ? nil : String(decoding: try flat.rest(), as: UTF8.self)
    let hasText = isBare || told.contains { $0.key.hasSameBytes(as: SafetensorsFile.framework) }
    text = hasText ? told : [(SafetensorsFile.framework, "pt")] + told
    var warnings: [String] = []
    if leavesRest, let lost = flat.ties.first(where: { $0.name.hasSameBytes(as: SafetensorsFile.framework) }) {
      warnings.append("\(lost.name) was left out: it is tied to \(lost.kept), and safetensors has no place to say so")
    }
    if !flat.carried.isEmpty {
      warnings.append(
        "safetensors has no such element types: stored as others of the same bytes"
          + (rest == nil ? "" : ", and told in '\(FlatCheckpoint.key)'") + ": \(listed(flat.carried))")
    }
    self.warnings = warnings
  }

  /// Puts the content digest into the rest, when all tensors' bytes have passed.
  mutating func takeDigest() throws(CheckpointError) {
    guard rest != nil else { return }
    let digest = try CheckedSource.contentDigest(of: root)
    rest = String(decoding: try flat.rest(digest: digest), as: UTF8.self)
  }

  /// All of it in one file.
  var file: File {
    var file = File(items: items, metadata: text + ties.map { ($0.name, $0.kept) })
    if let rest { file.metadata.append((FlatCheckpoint.key, rest)) }
    return file
  }

  /// The files of a set, with their text: what the tree came with, and which names share a tensor. The rest is the index's.
  func files(_ shards: [[FlatCheckpoint.Item]]) -> [File] {
    shards.map { items in
      var file = File(items: items, metadata: text)
      let names = Set(items.map { Key.string($0.name) })
      file.metadata += ties.filter { names.contains(.string($0.kept)) }.map { ($0.name, $0.kept) }
      return file
    }
  }

  /// The dict's own text, and whether it is all that the dict says of itself.
  private static func metadata(of root: Value) -> (text: [(key: String, value: String)], isWhole: Bool) {
    guard case .dict(let dict) = root else { return ([], false) }
    // The model's, where the tree has more than a model.
    let owner = dict.attributes.isEmpty ? dict["model"] : root
    guard case .dict(let model)? = owner, case .dict(let text)? = model.attributes.first?.value,
      model.attributes[0].name.hasSameBytes(as: "__metadata__")
    else { return ([], false) }
    let pairs = text.entries.compactMap { entry -> (key: String, value: String)? in
      guard case .string(let key) = entry.key, case .string(let value) = entry.value else { return nil }
      return key.hasSameBytes(as: FlatCheckpoint.key) ? nil : (key, value)
    }
    return (pairs, dict.attributes.count == 1 && pairs.count == text.count && text.kind == .plain)
  }

  /// The text without what stands where a tie is to be told, and what a reader would take for one.
  private static func withoutTies(
    _ text: [(key: String, value: String)], _ flat: FlatCheckpoint
  ) -> [(key: String, value: String)] {
    let names = Set(flat.items.map { Key.string($0.name) })
    let tied = Set(flat.ties.map { Key.string($0.name) })
    return text.filter { key, value in
      if key.hasSameBytes(as: SafetensorsFile.framework) { return true }
      return !tied.contains(.string(key)) && (names.contains(.string(key)) || !names.contains(.string(value)))
    }
  }

  /// Whether a reader of the plain file has the entries in the tree's order: as they are stored, tied ones last.
  private static func hasPlainOrder(_ root: Value, _ flat: FlatCheckpoint, isSet: Bool) -> Bool {
    guard case .dict(let dict) = root else { return false }
    let ties = flat.ties.map(\.name).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let names = isSet ? byName(flat.items) : SafetensorsLayout.sorted(flat.items)
    var order = names.map(\.name) + ties
    if isSet { order.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) } }
    return dict.entries.count == order.count && zip(dict.entries, order).allSatisfy { $0.key == .string($1) }
  }

  private static func byName(_ items: [FlatCheckpoint.Item]) -> [FlatCheckpoint.Item] {
    items.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }
}
