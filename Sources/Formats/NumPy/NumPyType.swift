import Checkpoint

/// A NumPy dtype: one kind, one size, one byte order. Structured types are kept raw.
struct NumPyType: Sendable {
  /// `f`, `i`, `u`, `b`, `c`; `S`, `U`, `V`, `O`, `M`, `m` have no tensor.
  var kind: UInt8
  var size: Int
  /// `<`, `>`, or `|` where there is none.
  var order: UInt8

  /// As NumPy writes it: `<f8`.
  var text: String { String(decoding: [order, kind], as: UTF8.self) + (kind == UInt8(ascii: "O") ? "" : "\(size)") }

  var isBigEndian: Bool { order == UInt8(ascii: ">") }

  /// The same type as a tensor has it.
  var dtype: DType? {
    switch (kind, size) {
    case (UInt8(ascii: "f"), 2): .float16
    case (UInt8(ascii: "f"), 4): .float32
    case (UInt8(ascii: "f"), 8): .float64
    case (UInt8(ascii: "i"), 1): .int8
    case (UInt8(ascii: "i"), 2): .int16
    case (UInt8(ascii: "i"), 4): .int32
    case (UInt8(ascii: "i"), 8): .int64
    case (UInt8(ascii: "u"), 1): .uint8
    case (UInt8(ascii: "u"), 2): .uint16
    case (UInt8(ascii: "u"), 4): .uint32
    case (UInt8(ascii: "u"), 8): .uint64
    case (UInt8(ascii: "b"), 1): .bool
    case (UInt8(ascii: "c"), 8): .complex64
    case (UInt8(ascii: "c"), 16): .complex128
    default: nil
    }
  }

  /// Little-endian, those that tensors have.
  static let all: [NumPyType] = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", "c8", "c16"]
    .compactMap { NumPyType(name: $0, order: UInt8(ascii: $0.hasSuffix("1") ? "|" : "<")) }

  /// The longest text that `init(name:order:)` takes.
  static let maximumTextSize = 999_999_999

  /// From the name a pickle has (`f8`) and the byte order of its state.
  init?(name: String, order: UInt8) {
    guard let kind = name.utf8.first, "fiubcSUVOMm".utf8.contains(kind) else { return nil }
    let digits = name.utf8.dropFirst()
    guard digits.count <= 9, let size = digits.isEmpty ? 0 : Int(String(digits) ?? "x"), size >= 0 else { return nil }
    self.kind = kind
    self.size = size
    self.order = order == UInt8(ascii: "=") ? UInt8(ascii: "<") : order
    guard "<>|".utf8.contains(self.order) else { return nil }
  }

  /// One element's bytes as a value, where there is one.
  func value(_ bytes: [UInt8]) -> Value? {
    guard let dtype, bytes.count == size else { return nil }
    let word = dtype.wordSize
    func word64(_ index: Int) -> UInt64 {
      let part = bytes[(index * word)..<((index + 1) * word)]
      return (isBigEndian ? Array(part) : part.reversed()).reduce(0) { $0 << 8 | UInt64($1) }
    }
    func float(_ index: Int) -> Double {
      switch word {
      case 2: Self.half(UInt16(truncatingIfNeeded: word64(index)))
      case 4: Double(Float(bitPattern: UInt32(truncatingIfNeeded: word64(index))))
      default: Double(bitPattern: word64(index))
      }
    }
    switch kind {
    case UInt8(ascii: "f"): return .double(float(0))
    case UInt8(ascii: "c"): return .complex(float(0), float(1))
    case UInt8(ascii: "b"): return .bool(bytes != [0])
    case UInt8(ascii: "i"):
      let unused = 64 - 8 * size
      return .int(Int64(bitPattern: word64(0) << unused) >> unused)
    default:
      let number = word64(0)
      return Int64(exactly: number).map(Value.int)
        ?? .bigInt(BigInt(twosComplement: (0..<9).map { $0 == 8 ? 0 : UInt8(truncatingIfNeeded: number >> ($0 * 8)) }))
    }
  }

  /// An IEEE half as a double, exactly. (Swift has no `Float16` on Intel Macs.)
  private static func half(_ bits: UInt16) -> Double {
    let sign = bits & 0x8000 == 0 ? 1.0 : -1.0
    let exponent = Int(bits >> 10 & 0x1F)
    let mantissa = Double(bits & 0x3FF)
    switch exponent {
    case 0: return sign * mantissa * 0x1p-24
    case 31: return mantissa == 0 ? sign * .infinity : .nan
    default: return sign * Double(sign: .plus, exponent: exponent - 15, significand: 1 + mantissa * 0x1p-10)
    }
  }
}
