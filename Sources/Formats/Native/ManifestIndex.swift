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
    // Digests of the paths: cheaper to compare than the paths, and a clash only costs the index.
    var seen: Set<Digest> = []
    seen.reserveCapacity(entries.count)
    for index in entries.indices {
      var path = entries[index].path
      guard seen.insert(path.withUTF8({ XXH3.hash(UnsafeRawBufferPointer($0)) })).inserted else {
        throw CheckpointError(.damaged, "\(path) is listed twice")
      }
      sorting.append(index, to: path.groupPath)
    }
    (groups, members) = (sorting.numbers, sorting.members)
  }

  /// Collects the members of each group. A tensor's neighbours are mostly in the few groups met last.
  private struct Groups {
    var numbers: [Key: Int] = [:]
    var members: [[Int]] = []
    private var names: [Substring.UTF8View] = []
    private var recent: [Int] = []

    mutating func append(_ index: Int, to group: Substring.UTF8View) {
      members[number(of: group)].append(index)
    }

    private mutating func number(of group: Substring.UTF8View) -> Int {
      if let known = recent.first(where: { names[$0].count == group.count && names[$0].elementsEqual(group) }) {
        return known
      }
      let key = Key.string(String(Substring(group)))
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

extension String {
  /// Of an object's path: that of the group that it lies in.
  fileprivate var groupPath: Substring.UTF8View { utf8[..<(lastSlash ?? startIndex)] }

  /// Of an object's path: the link in that group.
  var linkName: String {
    guard let lastSlash else { return self }
    return String(self[utf8.index(after: lastSlash)...])
  }

  private var lastSlash: String.Index? { utf8.lastIndex(of: 0x2F) }
}
