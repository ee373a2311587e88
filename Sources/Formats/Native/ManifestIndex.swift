import Checkpoint

/// A manifest that holds, ready for look-ups.
struct ManifestIndex: Sendable {
  let entries: [Manifest.Entry]
  let hasAliases: Bool
  /// The groups that tensors lie in, and their tensors in the order of the tree.
  private let groups: [Key: Int]
  private let members: [[Int]]

  init(_ manifest: Manifest) throws(CheckpointError) {
    entries = manifest.entries
    hasAliases = entries.contains { $0.aliasOf != nil }
    var sorting = Groups()
    // Digests of the names: cheaper to keep than the names, and a clash (of 64 bits) only costs the index.
    var seen: Set<UInt64> = []
    seen.reserveCapacity(entries.count)
    for index in entries.indices {
      let group = sorting.append(index, to: entries[index].group)
      let digest = entries[index].link.withBytes { XXH3.hash(UnsafeRawBufferPointer($0)).prefix }
      guard seen.insert(digest &+ UInt64(group)).inserted else {
        throw CheckpointError(.damaged, "\(entries[index].path) is listed twice")
      }
    }
    (groups, members) = (sorting.numbers, sorting.members)
  }

  /// Collects the members of each group. A tensor's neighbours are mostly in the few groups met last.
  private struct Groups {
    var numbers: [Key: Int] = [:]
    var members: [[Int]] = []
    private var names: [String] = []
    private var recent: [Int] = []

    /// Gives the group's number.
    mutating func append(_ index: Int, to group: String) -> Int {
      let number = number(of: group)
      members[number].append(index)
      return number
    }

    private mutating func number(of group: String) -> Int {
      if let known = recent.first(where: { names[$0].hasSameBytes(as: group) }) { return known }
      let key = Key.string(group)
      let number = numbers[key] ?? members.count
      if number == members.count {
        numbers[key] = number
        members.append([])
        names.append(group)
      }
      if recent.count == 4 { recent.removeFirst() }
      recent.append(number)
      return number
    }
  }

  /// The tensors of a group, in the order of the tree.
  func children(of group: String) -> [Int] { groups[.string(group)].map { members[$0] } ?? [] }
}
