import Checkpoint

/// The places of records by name.
///
/// Nearly all names are `data/<number>`: those are looked up by the number.
struct ZipNames: Sendable {
  /// Whether case does not count, as in torch.
  let foldsCase: Bool
  private var byNumber: [Int32] = []
  private var byName: [Key: Int] = [:]

  init(foldsCase: Bool) { self.foldsCase = foldsCase }

  /// - Returns: false when the name is there already.
  mutating func add(_ name: String, at place: Int) -> Bool {
    let name = folded(name)
    guard name.utf8.starts(with: "data/".utf8), let number = Self.number(name.utf8.dropFirst(5)) else {
      return byName.updateValue(place, forKey: Key.string(name)) == nil
    }
    if number >= byNumber.count {
      byNumber.append(contentsOf: repeatElement(-1, count: max(number - byNumber.count, byNumber.count) + 1))
    }
    guard byNumber[number] < 0 else { return false }
    byNumber[number] = Int32(truncatingIfNeeded: place)
    return true
  }

  func place(of name: String) -> Int? {
    let name = folded(name)
    if name.utf8.starts(with: "data/".utf8), let number = Self.number(name.utf8.dropFirst(5)) { return place(number) }
    return byName[Key.string(name)]
  }

  /// The place of `data/<key>`.
  func place(ofStorage key: String) -> Int? { Self.number(key.utf8[...]).map(place) ?? place(of: "data/" + key) }

  private func place(_ number: Int) -> Int? {
    number < byNumber.count && byNumber[number] >= 0 ? Int(byNumber[number]) : nil
  }

  /// A number as torch counts, below a million: so many records make the table worth while, and no more are trusted.
  private static func number(_ digits: Substring.UTF8View) -> Int? {
    guard let first = digits.first, digits.count <= 6, first != 0x30 || digits.count == 1 else { return nil }
    var number = 0
    for digit in digits {
      guard digit >= 0x30, digit <= 0x39 else { return nil }
      number = number * 10 + Int(digit & 15)
    }
    return number
  }

  private func folded(_ name: String) -> String {
    guard foldsCase, name.utf8.contains(where: { $0 >= 0x41 && $0 <= 0x5A }) else { return name }
    return String(decoding: name.utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}
