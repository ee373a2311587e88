import Checkpoint
import Testing

/// A small float format, computed from its definition.
private struct Format {
  let dtype: DType
  let mantissa, bias: Int
  /// The code of the largest finite number, and what a larger one becomes.
  let largest, over: Int

  static let all = [
    Format(dtype: .float16, mantissa: 10, bias: 15, largest: 0x7BFF, over: 0x7C00),
    Format(dtype: .bfloat16, mantissa: 7, bias: 127, largest: 0x7F7F, over: 0x7F80),
    Format(dtype: .float8_e4m3fn, mantissa: 3, bias: 7, largest: 0x7E, over: 0x7E),
    Format(dtype: .float8_e5m2, mantissa: 2, bias: 15, largest: 0x7B, over: 0x7C),
  ]

  /// The number that a non-negative finite code stands for.
  func value(_ code: Int) -> Double {
    let exponent = code >> mantissa
    let fraction = Double(code & ((1 << mantissa) - 1))
    let scale = Double(sign: .plus, exponent: max(exponent, 1) - bias - mantissa, significand: 1)
    return (exponent == 0 ? fraction : fraction + Double(1 << mantissa)) * scale
  }
}

@Suite struct CastTests {
  private func bytes(_ source: any ByteSource) throws -> [UInt8] {
    var result: [UInt8] = []
    try source.forEachPiece(limit: 4096) { result.append(contentsOf: $0) }
    return result
  }

  private func cast<Element: BitwiseCopyable>(_ numbers: [Element], _ from: DType, _ to: DType) throws -> [UInt8] {
    try bytes(try CastSource(BufferSource(elements: numbers), from: from, to: to))
  }

  private func codes(_ bytes: [UInt8], _ dtype: DType) -> [Int] {
    dtype.itemSize == 1
      ? bytes.map(Int.init) : stride(from: 0, to: bytes.count, by: 2).map { Int(bytes[$0]) | Int(bytes[$0 + 1]) << 8 }
  }

  @Test(arguments: [0, 1, 2, 3])
  func everyCodeWidensToItsValueAndBack(index: Int) throws {
    let format = Format.all[index]
    let signBit = format.dtype.itemSize == 1 ? 0x80 : 0x8000
    let positive = Array(0...format.largest)
    let all = positive + positive.map { $0 | signBit }
    let expected = positive.map(format.value) + positive.map { -format.value($0) }
    let source = all.flatMap { code in
      format.dtype.itemSize == 1 ? [UInt8(code)] : [UInt8(code & 255), UInt8(code >> 8)]
    }
    for wide in [DType.float32, .float64] {
      let widened = try CastSource(BufferSource(source), from: format.dtype, to: wide)
      let tensor = try Tensor(dtype: wide, shape: [all.count], source: widened)
      let numbers =
        wide == .float64 ? try tensor.elements(as: Double.self) : try tensor.elements(as: Float.self).map(Double.init)
      #expect(zip(expected, numbers).allSatisfy { $0.bitPattern == $1.bitPattern })
      let back = try bytes(try CastSource(widened, from: wide, to: format.dtype))
      #expect(back == source)
    }
  }

  /// The point halfway between neighbours goes to the even one; a hair beside it to the nearer.
  @Test(arguments: [0, 1, 2, 3], [1.0, -1.0])
  func roundsToNearestTiesToEven(index: Int, sign: Double) throws {
    let format = Format.all[index]
    var numbers: [Double] = []
    var expected: [Int] = []
    let signBit = sign < 0 ? (format.dtype.itemSize == 1 ? 0x80 : 0x8000) : 0
    for code in 0...format.largest {
      let low = format.value(code)
      let high = code == format.largest ? low + (low - format.value(code - 1)) : format.value(code + 1)
      let next = code == format.largest ? format.over : code + 1
      let middle = low + (high - low) / 2
      numbers += [low, middle.nextDown, middle, middle.nextUp]
      expected += [code, code, code % 2 == 0 ? code : next, next]
    }
    let fromDouble = try cast(numbers.map { $0 * sign }, .float64, format.dtype)
    #expect(codes(fromDouble, format.dtype) == expected.map { $0 | signBit })
    // Halfway points of narrow types are exact in float32, so that path is seen as well.
    let narrow = numbers.indices.filter { Double(Float(numbers[$0])) == numbers[$0] }
    let fromFloat = try cast(narrow.map { Float(numbers[$0] * sign) }, .float32, format.dtype)
    #expect(narrow.count >= format.largest)
    #expect(codes(fromFloat, format.dtype) == narrow.map { expected[$0] | signBit })
  }

  @Test func infinityAndNaN() throws {
    let odd: [Float] = [.infinity, -.infinity, .nan]
    #expect(codes(try cast(odd, .float32, .float16), .float16) == [0x7C00, 0xFC00, 0x7E00])
    #expect(codes(try cast(odd, .float32, .bfloat16), .bfloat16) == [0x7F80, 0xFF80, 0x7FC0])
    #expect(codes(try cast(odd, .float32, .float8_e5m2), .float8_e5m2) == [0x7C, 0xFC, 0x7F])
    #expect(codes(try cast(odd, .float32, .float8_e4m3fn), .float8_e4m3fn) == [0x7E, 0xFE, 0x7F])
  }

  /// Codes and values as torch 2.13 prints them.
  @Test(arguments: [
    (DType.float8_e4m3fnuz, [UInt8(0x80), 0x01, 0x7F, 0x08, 0xFF], [Float.nan, 0x1p-10, 240, 0x1p-7, -240]),
    (.float8_e5m2fnuz, [0x80, 0x01, 0x7F, 0x04, 0xFF], [.nan, 0x1p-17, 57344, 0x1p-15, -57344]),
    (.float8_e8m0fnu, [0x00, 0x7F, 0xFE, 0xFF], [0x1p-127, 1, 0x1p127, .nan]),
  ])
  func otherEightBitFloatsWiden(dtype: DType, codes: [UInt8], expected: [Float]) throws {
    let widened = try CastSource(BufferSource(codes), from: dtype, to: .float32)
    let numbers = try Tensor(dtype: .float32, shape: [codes.count], source: widened).elements(as: Float.self)
    #expect(zip(numbers, expected).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) })
  }

  @Test func overflowIsCountedOncePerPass() throws {
    let source = try CastSource(
      BufferSource(elements: [Float](arrayLiteral: 1e6, 1, -7e4, .infinity)), from: .float32, to: .float16)
    _ = try bytes(source)
    _ = try bytes(source)
    #expect(source.overflowed == 2)
    let small = try CastSource(
      BufferSource(elements: [Double](arrayLiteral: 464, 465, -1e300)), from: .float64, to: .float8_e4m3fn)
    _ = try bytes(small)
    #expect(small.overflowed == 2)
  }

  @Test func integersCastOnlyWhereExact() throws {
    #expect(try cast([Int64](arrayLiteral: -128, 127), .int64, .int8) == [0x80, 0x7F])
    #expect(try cast([Float](arrayLiteral: 3, -4), .float32, .int8) == [3, 0xFC])
    #expect(throws: CheckpointError.self) { try cast([Int64(128)], .int64, .int8) }
    #expect(throws: CheckpointError.self) { try cast([Int64(-1)], .int64, .uint64) }
    #expect(throws: CheckpointError.self) { try cast([UInt64.max], .uint64, .int64) }
    #expect(throws: CheckpointError.self) { try cast([Int32(16_777_217)], .int32, .float32) }
    #expect(throws: CheckpointError.self) { try cast([Int64.max], .int64, .float64) }
    #expect(throws: CheckpointError.self) { try cast([Float(0.5)], .float32, .int32) }
    #expect(throws: CheckpointError.self) { try cast([Float.nan], .float32, .int32) }
    #expect(throws: CheckpointError.self) { try cast([Float(0x1p31)], .float32, .int32) }
  }

  @Test func typesWithoutNumbersAreRefused() throws {
    let source = BufferSource([0])
    #expect(throws: CheckpointError.self) { try CastSource(source, from: .uint4, to: .float32) }
    #expect(throws: CheckpointError.self) { try CastSource(source, from: .uint8, to: .bool) }
    #expect(throws: CheckpointError.self) { try CastSource(source, from: .complex64, to: .float32) }
  }

  @Test func complexNumbersCastByComponent() throws {
    let halves = codes(try cast([Float](arrayLiteral: 1, -2), .complex64, .complex32), .float16)
    #expect(halves == [0x3C00, 0xC000])
  }

  @Test func piecesAreBoundedAndWhole() throws {
    let source = try CastSource(BufferSource(elements: (0..<10_000).map(Float.init)), from: .float32, to: .float64)
    var sizes: [Int] = []
    try source.forEachPiece(limit: 1000) { sizes.append($0.count) }
    #expect(sizes.allSatisfy { $0 <= 1000 && $0 % 8 == 0 })
    #expect(sizes.reduce(0, +) == source.byteCount)
  }
}
