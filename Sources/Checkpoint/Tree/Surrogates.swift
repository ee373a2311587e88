/// Python's lone surrogates, which `surrogatepass` writes as three bytes each.
public enum Surrogates {
  /// Whether the bytes are UTF-8 but for encoded surrogates.
  public static func areAllThatIsWrong(with raw: [UInt8]) -> Bool {
    var clean: [UInt8] = []
    clean.reserveCapacity(raw.count)
    var at = 0
    while at < raw.count {
      if at + 2 < raw.count, raw[at] == 0xED, raw[at + 1] >= 0xA0, raw[at + 1] < 0xC0, raw[at + 2] & 0xC0 == 0x80 {
        clean.append(0x3F)
        at += 3
      } else {
        clean.append(raw[at])
        at += 1
      }
    }
    return String(validating: clean, as: UTF8.self) != nil
  }
}
