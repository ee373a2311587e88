import Kernels

/// A digest and the algorithm that made it.
public struct Digest: Sendable, Hashable, CustomStringConvertible {
  public enum Algorithm: String, Sendable, CaseIterable {
    /// XXH3 with 128 bits: fast, finds damage, no protection against an adversary.
    case xxh3 = "xxh3-128"
    /// SHA-256, for those who sign.
    case sha256

    /// Bytes of a digest.
    public var byteCount: Int { self == .xxh3 ? 16 : 32 }
  }

  /// The first two words of the digest, each the number that sixteen of its digits say. Inline and no more than this,
  /// since ten thousand tensors have an XXH3 each.
  private let first: UInt64
  private let second: UInt64
  /// The other half of a SHA-256.
  private let tail: Tail?

  private final class Tail: Sendable {
    let words: (UInt64, UInt64)
    init(_ words: (UInt64, UInt64)) { self.words = words }
  }

  public var algorithm: Algorithm { tail == nil ? .xxh3 : .sha256 }

  /// From `algorithm.byteCount` bytes in the order in which a digest is written; missing ones are 0.
  public init(_ algorithm: Algorithm, bytes: some Swift.Sequence<UInt8>) {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    withUnsafeMutableBytes(of: &words) { buffer in
      for (index, byte) in bytes.prefix(algorithm.byteCount).enumerated() { buffer[index] = byte }
    }
    self.init(
      algorithm, words: (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian))
  }

  /// From the numbers that its hexadecimal digits say, sixteen digits each.
  init(_ algorithm: Algorithm, words: (UInt64, UInt64, UInt64, UInt64)) {
    (first, second) = (words.0, words.1)
    tail = algorithm == .sha256 ? Tail((words.2, words.3)) : nil
  }

  init(_ hash: ck_hash128) {
    (first, second, tail) = (hash.high, hash.low, nil)
  }

  /// The first half of an XXH3, for look-ups.
  public var prefix: UInt64 { first }

  /// The bytes in the order in which the digest is written as text.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    forEachWord { word in withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) } }
    return bytes
  }

  /// The digits as ASCII, eight of them in each word, the first one in its highest byte.
  func forEachEightDigits(_ body: (UInt64) -> Void) {
    forEachWord { word in
      body(HexWord.digits(of: UInt32(word >> 32)))
      body(HexWord.digits(of: UInt32(truncatingIfNeeded: word)))
    }
  }

  private func forEachWord(_ body: (UInt64) -> Void) {
    body(first)
    body(second)
    if let tail {
      body(tail.words.0)
      body(tail.words.1)
    }
  }

  public static func == (a: Digest, b: Digest) -> Bool {
    guard a.first == b.first, a.second == b.second else { return false }
    guard let x = a.tail, let y = b.tail else { return a.tail == nil && b.tail == nil }
    return x.words == y.words
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(first) }

  /// From `xxh3-128:<32 hex>` or `sha256:<64 hex>`; nil for anything else.
  public init?(text: String) {
    guard let colon = text.utf8.firstIndex(of: 0x3A),
      let algorithm = Algorithm(rawValue: String(text[..<colon])),
      let bytes = [UInt8](hex: text.utf8[text.utf8.index(after: colon)...]), bytes.count == algorithm.byteCount
    else { return nil }
    self.init(algorithm, bytes: bytes)
  }

  /// The digits without the algorithm.
  public var hex: String {
    var digits: [UInt8] = []
    digits.reserveCapacity(algorithm.byteCount * 2)
    forEachEightDigits { word in withUnsafeBytes(of: word.bigEndian) { digits.append(contentsOf: $0) } }
    return String(decoding: digits, as: UTF8.self)
  }

  /// `xxh3-128:<32 hex>` or `sha256:<64 hex>`.
  public var description: String { "\(algorithm.rawValue):\(hex)" }
}

extension [UInt8] {
  /// Bytes from lower-case hexadecimal digits; nil for anything else.
  public init?(hex digits: some Collection<UInt8>) {
    guard digits.count % 2 == 0 else { return nil }
    self = []
    reserveCapacity(digits.count / 2)
    var high: UInt8?
    for digit in digits {
      let value: UInt8
      switch digit {
      case 0x30...0x39: value = digit - 0x30
      case 0x61...0x66: value = digit - 0x61 + 10
      default: return nil
      }
      if let top = high {
        append(top << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
  }
}
