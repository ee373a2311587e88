import Checkpoint

/// A manifest that holds, ready for look-ups.
struct ManifestIndex: Sendable {
  let entries: [Manifest.Entry]
  let hasAliases: Bool
  /// Entries by the path of the group that they lie in, in the order of the tree.
  private let members: [[Int]]
  private let byGroup: [Key: Int]
  private let byPath: [Key: Int]

  init(_ manifest: Manifest) throws(CheckpointError) {
    entries = manifest.entries
    hasAliases = entries.contains { $0.aliasOf != nil }
    var paths: [Key: Int] = [:]
    paths.reserveCapacity(entries.count)
    var groups = Groups()
    for (index, entry) in entries.enumerated() {
      guard paths.updateValue(index, forKey: .string(entry.path)) == nil else {
        throw CheckpointError(.damaged, "is listed twice", place: "manifest: \(entry.path)")
      }
      groups.append(index, to: entry.path.parentPath)
    }
    (byGroup, members, byPath) = (groups.numbers, groups.members, paths)
  }

  /// Collects the members of each group. A tensor's neighbours are mostly in the few groups met last.
  private struct Groups {
    var numbers: [Key: Int] = [:]
    var members: [[Int]] = []
    private var names: [Substring] = []
    private var recent: [Int] = []

    mutating func append(_ index: Int, to group: Substring) {
      members[number(of: group)].append(index)
    }

    private mutating func number(of group: Substring) -> Int {
      if let known = recent.first(where: { names[$0].utf8.elementsEqual(group.utf8) }) { return known }
      let key = Key.string(String(group))
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

  func children(of group: String) -> [Int] { byGroup[.string(group)].map { members[$0] } ?? [] }

  func index(of path: String) -> Int? { byPath[.string(path)] }

  func index(of group: String, _ link: String) -> Int? {
    index(of: group.isEmpty ? link : "\(group)/\(link)")
  }

  /// The link name of an entry.
  func name(of index: Int) -> String {
    let path = entries[index].path
    guard let slash = path.utf8.lastIndex(of: 0x2F) else { return path }
    return String(path[path.utf8.index(after: slash)...])
  }
}

extension String {
  /// Everything before the last slash; empty where there is none.
  fileprivate var parentPath: Substring {
    utf8.lastIndex(of: 0x2F).map { self[..<$0] } ?? ""
  }
}
