import Checkpoint

/// The order of names in Keras' files, which lists in attributes tell; where there is none, numbers in names count as
/// numbers: `dense_2` comes before `dense_10`.
struct KerasOrder {
  /// Paths from a group downwards, in order.
  private let paths: [ArraySlice<Substring>]

  init(_ names: [String]) { paths = names.map { $0.split(separator: "/")[...] } }

  private init(paths: [ArraySlice<Substring>]) { self.paths = paths }

  var isEmpty: Bool { paths.isEmpty }

  /// The order below one of the group's members.
  func below(_ name: String) -> KerasOrder {
    KerasOrder(
      paths: paths.compactMap { path in
        guard let first = path.first, String(first).hasSameBytes(as: name), path.count > 1 else { return nil }
        return path.dropFirst()
      })
  }

  /// The members' indices in order: the named ones first.
  func sorted(_ names: [String]) -> [Int] {
    var ranks: [Key: Int] = [:]
    for (rank, path) in paths.enumerated() {
      guard let first = path.first else { continue }
      let key = Key.string(String(first))
      if ranks[key] == nil { ranks[key] = rank }
    }
    let keys = names.map { (rank: ranks[.string($0)] ?? .max, parts: Self.parts($0)) }
    return names.indices.sorted { a, b in
      if keys[a].rank != keys[b].rank { return keys[a].rank < keys[b].rank }
      return Self.precedes(keys[a].parts, keys[b].parts)
    }
  }

  /// Whether a name comes before another by itself.
  static func precedes(_ a: String, _ b: String) -> Bool { precedes(parts(a), parts(b)) }

  /// A layer's name without its number: `dense` of `dense_2`.
  static func stem(_ name: String) -> String {
    guard let line = name.utf8.lastIndex(of: 0x5F) else { return name }
    let rest = name.utf8[name.utf8.index(after: line)...]
    return !rest.isEmpty && rest.allSatisfy { (0x30...0x39).contains($0) } ? String(name[..<line]) : name
  }

  private enum Part: Equatable {
    case text([UInt8])
    case number(Int)
  }

  private static func parts(_ name: String) -> [Part] {
    var parts: [Part] = []
    var run: [UInt8] = []
    var isNumber = false
    func close() {
      guard !run.isEmpty else { return }
      // A number too long to be one is text.
      if isNumber, let number = Int(String(decoding: run, as: UTF8.self)) {
        parts.append(.number(number))
      } else {
        parts.append(.text(run))
      }
      run = []
    }
    for byte in name.utf8 {
      let digit = (0x30...0x39).contains(byte)
      if digit != isNumber { close() }
      isNumber = digit
      run.append(byte)
    }
    close()
    return parts
  }

  private static func precedes(_ a: [Part], _ b: [Part]) -> Bool {
    for (x, y) in zip(a, b) where x != y {
      switch (x, y) {
      case (.number(let x), .number(let y)): return x < y
      case (.text(let x), .text(let y)): return x.lexicographicallyPrecedes(y)
      case (.number, .text): return true
      case (.text, .number): return false
      }
    }
    return a.count < b.count
  }
}
