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

  public let algorithm: Algorithm
  /// The digest as big-endian words, the last two of them 0 for XXH3. Inline, since ten thousand tensors have one each.
  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// From `algorithm.byteCount` bytes in the order in which a digest is written; missing ones are 0.
  public init(_ algorithm: Algorithm, bytes: some Swift.Sequence<UInt8>) {
    self.algorithm = algorithm
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    withUnsafeMutableBytes(of: &words) { buffer in
      for (index, byte) in bytes.prefix(algorithm.byteCount).enumerated() { buffer[index] = byte }
    }
    self.words = words
  }

  /// From the numbers that its hexadecimal digits say, sixteen digits each.
  init(_ algorithm: Algorithm, bigEndianWords words: (UInt64, UInt64, UInt64, UInt64)) {
    self.algorithm = algorithm
    self.words = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
  }

  init(_ hash: ck_hash128) {
    algorithm = .xxh3
    words = (hash.high.bigEndian, hash.low.bigEndian, 0, 0)
  }

  /// The bytes in the order in which the digest is written as text.
  public var bytes: [UInt8] {
    withUnsafeBytes(of: words) { Array($0.prefix(algorithm.byteCount)) }
  }

  /// The same bytes, without an array for them.
  func withBytes(_ body: (UnsafeRawBufferPointer.SubSequence) -> Void) {
    withUnsafeBytes(of: words) { body($0.prefix(algorithm.byteCount)) }
  }

  public static func == (a: Digest, b: Digest) -> Bool { a.algorithm == b.algorithm && a.words == b.words }

  public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

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
    String(unsafeUninitializedCapacity: algorithm.byteCount * 2) { buffer in
      withUnsafeBytes(of: words) { bytes in
        for index in 0..<algorithm.byteCount {
          buffer[index * 2] = hexDigit(bytes[index] >> 4)
          buffer[index * 2 + 1] = hexDigit(bytes[index] & 15)
        }
      }
      return algorithm.byteCount * 2
    }
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

private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
