import Checkpoint
import Testing

@testable import Training

@Suite struct DropoutTests {
  @Test func dropsAboutPAndScalesTheRest() throws {
    let layer = try Dropout(0.25, generator: Generator(seed: 3))
    let input = try Variable([Float](repeating: 3, count: 40000), shape: [40000])
    let values = try layer(input).values
    let dropped = values.count { $0 == 0 }
    #expect(abs(Double(dropped) / 40000 - 0.25) < 0.01)
    #expect(values.allSatisfy { $0 == 0 || $0 == 4 })
  }

  @Test func theGradientGoesWhereTheValueWent() throws {
    let input = try Variable([Float](repeating: 1, count: 3001), shape: [3001])
    input.requiresGrad = true
    let output = try dropout(input, p: 0.5, generator: Generator(seed: 3))
    try output.sum().backward()
    #expect(try #require(input.grad).values == output.values)
  }

  @Test func nothingHappensInEvaluation() throws {
    let layer = try Dropout(0.9).eval()
    let input = try Variable([1, 2], shape: [2])
    #expect(try layer(input) === input)
  }

  @Test func theSameOffsetDropsTheSame() throws {
    let input = try Variable([Float](repeating: 1, count: 100), shape: [100])
    let generator = Generator(seed: 9)
    let first = try dropout(input, generator: generator).values
    let second = try dropout(input, generator: generator).values
    generator.offset = 0
    #expect(try dropout(input, generator: generator).values == first)
    #expect(first != second)
  }

  @Test func everythingMayBeDropped() throws {
    #expect(try dropout(try Variable([1, 2], shape: [2]), p: 1).values == [0, 0])
    #expect(throws: CheckpointError.self) { try Dropout(1.5) }
  }

  @Test func aModelTakesItsNumbersFromOneGenerator() throws {
    let generator = Generator(seed: 4)
    let model = Sequential(try Dropout(0.5), Residual([try Dropout(0.5)]))
    model.use(generator)
    _ = try model(try Variable.zeros([8]))
    #expect(generator.offset == 4)
  }

  /// Slopes by differences: with the same numbers dropped, attention is a smooth function.
  @Test func attentionsGradientsHoldWithDropout() throws {
    let shape = [1, 2, 66, 4]
    let bits = Generator(seed: 8).bits(4 * 528)
    let numbers = bits.map { Float($0 >> 8) / Float(1 << 23) - 1 }
    func inputs() throws -> [Variable] {
      try (0..<4).map { try Variable(Array(numbers[($0 * 528)..<($0 * 528 + 528)]), shape: shape) }
    }
    func value(_ x: [Variable]) throws -> Variable {
      try
        (scaledDotProductAttention(
          x[0], x[1], x[2], dropoutP: 0.3, isCausal: true, generator: Generator(seed: 1)) * x[3]).sum()
    }
    let leaves = try inputs()
    for leaf in leaves[..<3] { leaf.requiresGrad = true }
    try value(leaves).backward()
    for (which, element) in [(0, 100), (0, 527), (1, 0), (1, 400), (2, 5), (2, 263)] {
      let (up, down) = (try inputs(), try inputs())
      up[which].storage.floats[element] += 0.02
      down[which].storage.floats[element] -= 0.02
      let slope = (try value(up).item() - value(down).item()) / 0.04
      let found = try #require(leaves[which].grad).values[element]
      #expect(abs(slope - found) < 2e-3 * max(1, abs(slope)), "\(which) \(element)")
    }
  }
}
