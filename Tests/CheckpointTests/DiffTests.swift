import Checkpoint
import Testing

@Suite struct DiffTests {
  private func changes(_ a: Value, _ b: Value, _ options: Diff.Options = Diff.Options()) throws -> [String] {
    try Diff(a, b, options).changed.map { "\($0.path) \($0.what.rawValue)" }
  }

  private func tensor(_ numbers: [Float]) throws -> Value { .tensor(try Make.floats(numbers)) }

  @Test func equalTrees() throws {
    let root = Make.dict(["m": try Make.model(["w": [2, 2]]), "o": try Make.adam([[[2, 2]]]), "n": .double(.nan)])
    let copy = Make.dict(["m": try Make.model(["w": [2, 2]]), "o": try Make.adam([[[2, 2]]]), "n": .double(.nan)])
    #expect(try Diff(root, copy).isEqual)
  }

  @Test func whatOneSideAloneHas() throws {
    let a = Make.dict(["x": .int(1), "list": .sequence(.list, [.int(1), .int(2)]), "y": Make.dict(["z": .int(1)])])
    let b = Make.dict(["list": .sequence(.list, [.int(1)]), "w": .int(1)])
    let diff = try Diff(a, b)
    #expect(diff.onlyInA == ["x", "list.1", "y"])
    #expect(diff.onlyInB == ["w"])
    #expect(!diff.isEqual)
  }

  @Test func numbersOfATensor() throws {
    let diff = try Diff(
      Make.dict(["w": try tensor([1, 2, 3, 4])]), Make.dict(["w": try tensor([1, 2.5, 3, 5])]))
    let change = try #require(diff.changed.first)
    #expect(change.what == .value)
    #expect(change.difference == TensorDifference(differing: 2, maxAbs: 1, maxRel: 0.2))
  }

  @Test func bitsCountWithoutATolerance() throws {
    let difference = try Make.floats([0]).difference(from: try Make.floats([-0.0]))
    #expect(difference == TensorDifference(differing: 1, maxAbs: 0, maxRel: 0))
    let nan = try Make.floats([Float(bitPattern: 0x7FC0_0001)])
    #expect(try nan.difference(from: try Make.floats([Float(bitPattern: 0x7FC0_0001)])) == nil)
    #expect(try nan.difference(from: try Make.floats([Float(bitPattern: 0x7FC0_0002)]))?.differing == 1)
    #expect(try nan.difference(from: try Make.floats([1]))?.maxAbs?.isNaN == true)
    #expect(try Make.floats([.infinity]).difference(from: try Make.floats([1]))?.maxAbs == .infinity)
  }

  @Test func toleranceIsThatOfIsclose() throws {
    func same(_ a: Float, _ b: Float, _ rtol: Double, _ atol: Double) throws -> Bool {
      let tolerance = Tolerance(rtol: rtol, atol: atol)
      return try Make.floats([a]).difference(from: try Make.floats([b]), tolerance: tolerance) == nil
    }
    #expect(try same(100, 101, 0.01, 0))
    // Relative to b, so not the other way round.
    #expect(try !same(101, 100, 0.0099, 0))
    #expect(try same(101, 100, 0.0099, 0.02))
    #expect(try same(.infinity, .infinity, 0, 0))
    #expect(try !same(.infinity, 1e30, 1, 1))
    #expect(try same(.nan, -.nan, 0, 0))
    #expect(try !same(.nan, 1, 1, 1))
    let options = Diff.Options(tolerance: Tolerance(rtol: 0.1))
    #expect(try Diff(.double(1), .double(1.05), options).isEqual)
    #expect(try !Diff(.double(1), .double(1.5), options).isEqual)
  }

  @Test func largeIntegersAreComparedExactly() throws {
    let a = try Tensor(dtype: .int64, shape: [2], source: BufferSource(elements: [Int64.max, Int64.min]))
    let b = try Tensor(dtype: .int64, shape: [2], source: BufferSource(elements: [Int64.max - 1, Int64.max]))
    #expect(try a.difference(from: b) == TensorDifference(differing: 2, maxAbs: 0x1p64, maxRel: 2))
  }

  @Test func otherElementTypes() throws {
    func difference(_ dtype: DType, _ a: [UInt8], _ b: [UInt8]) throws -> TensorDifference? {
      let count = a.count * 8 / dtype.bitWidth
      let x = try Tensor(dtype: dtype, shape: [count], source: BufferSource(a))
      return try x.difference(from: try Tensor(dtype: dtype, shape: [count], source: BufferSource(b)))
    }
    #expect(try difference(.bfloat16, [0x80, 0x3F], [0x00, 0x40])?.maxAbs == 1)
    #expect(try difference(.float16, [0x00, 0x3C], [0x00, 0x40])?.maxAbs == 1)
    #expect(try difference(.float8_e4m3fn, [0x38], [0x40])?.maxAbs == 1)
    #expect(try difference(.bool, [0, 1], [1, 1]) == TensorDifference(differing: 1, maxAbs: 1, maxRel: 1))
    #expect(try difference(.uint4, [0x12], [0x13]) == TensorDifference(differing: 1, maxAbs: nil, maxRel: nil))
    let complex = try Make.floats([3, 4], shape: [2])
    let x = try Tensor(dtype: .complex64, shape: [1], source: complex.source)
    let y = try Tensor(dtype: .complex64, shape: [1], source: BufferSource(elements: [Float](arrayLiteral: 0, 0)))
    #expect(try x.difference(from: y)?.maxAbs == 5)
  }

  @Test func typesShapesAndOrder() throws {
    let a = Make.dict([
      "l": .sequence(.list, [.int(1)]), "n": .int(1), "d": .dict(Dict([], kind: .ordered)), "t": try tensor([1, 2]),
      "s": .tensor(try Make.floats([1, 2], shape: [2, 1])), "h": .tensor(try Make.tensor([2], .float16)),
      "p": .tensor(try Make.tensor([1], .float32, kind: .parameter)),
    ])
    let b = Make.dict([
      "l": .sequence(.tuple, [.int(1)]), "n": .double(1), "d": Make.dict([:]), "t": try tensor([1, 2]),
      "s": .tensor(try Make.floats([1, 2])), "h": .tensor(try Make.tensor([2], .bfloat16)),
      "p": .tensor(try Make.tensor([1])),
    ])
    #expect(try changes(a, b) == ["l type", "n type", "d type", "s shape", "h dtype", "p type"])
    let x = Make.dict(["a": .int(1), "b": .int(2), "gone": .int(3)])
    let y = Make.dict(["b": .int(2), "a": .int(1)])
    #expect(try changes(x, y) == [" order"])
  }

  @Test func attributesAndTiesCount() throws {
    let shared = try Make.tensor()
    let tied = Make.dict(["a": .tensor(shared), "b": .tensor(shared)])
    let untied = Make.dict(["a": .tensor(try Make.tensor()), "b": .tensor(try Make.tensor())])
    #expect(try changes(tied, untied) == ["b type"])
    let plain = Value.dict(Dict([], attributes: []))
    let versions = Value.dict(Dict([], attributes: [Record.Field("_metadata", .int(1))]))
    #expect(try Diff(plain, versions).onlyInB == ["@_metadata"])
  }

  @Test func ignoredPathsAreNotLookedAt() throws {
    let a = Make.dict(["o": Make.dict(["step": .int(1), "lr": .int(1)]), "x": .int(1)])
    let b = Make.dict(["o": Make.dict(["step": .int(2), "lr": .int(1)]), "y": Make.dict(["step": .int(1)])])
    let options = Diff.Options(ignore: [Glob("*.step"), Glob("x")])
    #expect(try Diff(a, b, options).isEqual)
  }

  @Test func namesThatDifferInNormalisationDiffer() throws {
    let diff = try Diff(Make.dict(["\u{E9}": .int(1)]), Make.dict(["e\u{301}": .int(1)]))
    #expect(diff.onlyInA.count == 1 && diff.onlyInB.count == 1)
  }

  @Test func recordedDigestsAreTrustedOnRequestOnly() throws {
    var (x, y) = (try Make.floats([1]), try Make.floats([2]))
    x.recordedDigest = Digest(.xxh3, bytes: [1])
    y.recordedDigest = Digest(.xxh3, bytes: [1])
    #expect(try !Diff(.tensor(x), .tensor(y)).isEqual)
    #expect(try Diff(.tensor(x), .tensor(y), Diff.Options(trustDigests: true)).isEqual)
  }

  /// Neither side lies in memory, and both are larger than a piece.
  @Test func computedSourcesAreComparedPieceByPiece() throws {
    let count = 600_000
    var numbers = (0..<count).map { Float($0 % 1000) }
    let a = try CastSource(BufferSource(elements: numbers), from: .float32, to: .float64)
    numbers[count - 1] += 1
    let b = try CastSource(BufferSource(elements: numbers), from: .float32, to: .float64)
    let (x, y) = (
      try Tensor(dtype: .float64, shape: [count], source: a), try Tensor(dtype: .float64, shape: [count], source: b)
    )
    #expect(try x.difference(from: y)?.differing == 1)
    let whole = try Tensor(
      dtype: .float64, shape: [count], source: BufferSource(elements: numbers.map(Double.init)))
    #expect(try x.difference(from: whole)?.differing == 1)
    #expect(try whole.difference(from: y) == nil)
  }
}
