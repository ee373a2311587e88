import Checkpoint
import Testing

@Suite struct StatisticsTests {
  @Test func describesFiniteNumbersAndCountsTheRest() throws {
    let tensor = try Make.floats([1, -3, 0, -0.0, .nan, .infinity, -.infinity, 6, 1])
    let found = try #require(try Statistics(tensor))
    #expect(found.min == -3)
    #expect(found.max == 6)
    #expect(abs((found.mean ?? 0) - 5.0 / 6) < 1e-12)
    // torch.tensor([1., -3, 0, 0, 6, 1]).double().std()
    #expect(abs((found.std ?? 0) - 2.926886855802026) < 1e-12)
    #expect((found.nan, found.inf, found.zeros) == (1, 2, 2))
  }

  @Test func emptyAndSingle() throws {
    let empty = try #require(try Statistics(try Make.floats([])))
    #expect(empty.min == nil && empty.mean == nil && empty.std == nil && empty.zeros == 0)
    let single = try #require(try Statistics(try Make.floats([4])))
    #expect(single.min == 4 && single.mean == 4 && single.std == nil)
  }

  @Test func aLargeMeanDoesNotSwallowTheDeviation() throws {
    let numbers = (0..<10_001).map { 1e9 + Double($0 % 2) }
    let tensor = try Tensor(dtype: .float64, shape: [10_001], source: BufferSource(elements: numbers))
    let std = try #require(try Statistics(tensor)?.std)
    #expect(abs(std - 0.5) < 1e-4)
  }

  @Test func otherTypes() throws {
    let ints = try Tensor(dtype: .int16, shape: [3], source: BufferSource(elements: [Int16](arrayLiteral: -5, 0, 7)))
    #expect(try Statistics(ints)?.min == -5)
    let bools = try Tensor(dtype: .bool, shape: [4], source: BufferSource([0, 1, 1, 1]))
    #expect(try Statistics(bools)?.mean == 0.75)
    #expect(try Statistics(try Make.tensor([2], .complex64)) == nil)
    #expect(try Statistics(try Make.tensor([2], .uint4)) == nil)
  }

  @Test(arguments: [
    (DType.float64, [UInt8](arrayLiteral: 0, 0, 0, 0, 0, 0, 0xF0, 0x7F)), (.float32, [0, 0, 0x80, 0xFF]),
    (.float16, [1, 0x7C]), (.bfloat16, [0x80, 0x7F]), (.float8_e4m3fn, [0xFF]), (.float8_e5m2, [0x7C]),
    (.float8_e4m3fnuz, [0x80]), (.float8_e5m2fnuz, [0x80]), (.float8_e8m0fnu, [0xFF]),
    (.complex64, [0, 0, 0, 0, 0, 0, 0x80, 0x7F]),
  ])
  func oneNumberThatIsNotFiniteIsFound(dtype: DType, odd: [UInt8]) throws {
    let zeros = Array(repeating: UInt8(0), count: odd.count * 9000)
    let good = try Tensor(dtype: dtype, shape: [9000], source: BufferSource(zeros))
    #expect(try good.allFinite())
    let bad = try Tensor(dtype: dtype, shape: [9001], source: BufferSource(zeros + odd))
    #expect(try !bad.allFinite())
  }
}
