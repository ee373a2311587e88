import Checkpoint
import Testing

@testable import Training

@Suite struct ConvolutionTests {
  /// Who computes, how many products make a piece, and how the input lies.
  struct Way: Sendable, CustomTestStringConvertible {
    let usesLibrary: Bool
    let worth: Int
    let layout: Variable.Layout

    static let all = [true, false].flatMap { library in
      [1, 1_000_000].flatMap { worth in
        [Variable.Layout.contiguous, .channelsLast].map { Way(usesLibrary: library, worth: worth, layout: $0) }
      }
    }

    var testDescription: String {
      "\(usesLibrary ? "library" : "matrices"), \(worth == 1 ? "small" : "large") pieces, \(layout)"
    }
  }

  @Test(arguments: Way.all) func agreesWithAutograd(_ way: Way) throws {
    let cases = try ConvolutionFixtures.cases("convolutions")
    #expect(cases.count == 12)
    for item in cases {
      let input = try item.leaf("input", layout: way.layout)
      let weight = try item.leaf("weight")
      let bias = item.has("bias") ? try item.leaf("bias") : nil
      let shape = try ConvolutionShape(
        input: input.shape, weight: weight.shape, bias: bias?.shape, stride: try item.pair("stride"),
        padding: try item.pair("padding"), dilation: try item.pair("dilation"), groups: try item.int("groups"))
      let passes = ConvolutionPasses(usesLibrary: way.usesLibrary, worth: way.worth)
      let output = try convolution(input, weight, bias, shape, ConvolutionAfter(), passes)
      try output.backward(given: try item.leaf("given", requiresGrad: false))
      #expect(output.shape == (try item.tensor("output").shape), "\(item)")
      #expect(distance(try output.rowMajor(), try item.values("output")) < tolerance, "\(item)")
      #expect(distance(try input.gradientRowMajor(), try item.values("input.grad")) < tolerance, "\(item)")
      #expect(distance(try weight.gradientRowMajor(), try item.values("weight.grad")) < tolerance, "\(item)")
      if let bias {
        #expect(distance(try bias.gradientRowMajor(), try item.values("bias.grad")) < tolerance, "\(item)")
      }
    }
  }

  @Test func gradientsAddUp() throws {
    let item = try ConvolutionFixtures.cases("convolutions")[2]
    let input = try item.leaf("input", layout: .channelsLast)
    let (weight, bias) = (try item.leaf("weight"), try item.leaf("bias"))
    for _ in 0..<2 {
      let output = try conv2d(input, weight, bias, stride: try item.pair("stride"), padding: try item.pair("padding"))
      try output.backward(given: try item.leaf("given", requiresGrad: false))
    }
    for (value, name) in [(input, "input.grad"), (weight, "weight.grad"), (bias, "bias.grad")] {
      #expect(distance(try value.gradientRowMajor(), try item.values(name).map { 2 * $0 }) < tolerance, "\(name)")
    }
  }

  @Test func gradientsGoOnlyWhereTheyAreWanted() throws {
    let item = try ConvolutionFixtures.cases("convolutions")[0]
    for wanted in ["input", "weight", "bias"] {
      let values = try ["input", "weight", "bias"].map { try item.leaf($0, requiresGrad: $0 == wanted) }
      let output = try conv2d(values[0], values[1], values[2])
      try output.backward(given: try item.leaf("given", requiresGrad: false))
      for (value, name) in zip(values, ["input", "weight", "bias"]) {
        #expect((value.gradient != nil) == (name == wanted))
      }
      let value = try #require(values.first { $0.requiresGrad })
      #expect(distance(try value.gradientRowMajor(), try item.values("\(wanted).grad")) < tolerance)
    }
  }

  /// Conv, ReLU, conv, ReLU and pooling, one by one or as one piece each.
  @Test(arguments: [false, true], [1, 1_000_000]) func networksAgreeWithAutograd(fused: Bool, worth: Int) throws {
    let item = try ConvolutionFixtures.cases("network")[0]
    let input = try item.leaf("input")
    let parameters = try ["0.weight", "0.bias", "2.weight", "2.bias"].map { try item.leaf($0) }
    func layer(_ x: Variable, _ index: Int, padding: Pair, pool: Bool) throws -> Variable {
      let (weight, bias) = (parameters[2 * index], parameters[2 * index + 1])
      let shape = try ConvolutionShape(
        input: x.shape, weight: weight.shape, bias: bias.shape, stride: 1, padding: padding, dilation: 1, groups: 1)
      var after = ConvolutionAfter(relu: true)
      if fused, pool {
        after.pool = try PoolingShape(
          "test", input: shape.output, window: ConvolutionWindow(kernel: 2, stride: 2, padding: 0))
      }
      let result = try convolution(x, weight, bias, shape, after, ConvolutionPasses(worth: worth))
      return !fused && pool ? try maxPool2d(result, kernelSize: 2) : result
    }
    let hidden = try layer(input, 0, padding: 0, pool: false)
    let output = try flatten(try layer(hidden, 1, padding: 1, pool: true), startDim: 1)
    try output.backward(given: try item.leaf("given", requiresGrad: false))
    #expect(distance(try output.rowMajor(), try item.values("output")) < tolerance)
    #expect(distance(try input.gradientRowMajor(), try item.values("input.grad")) < tolerance)
    for (parameter, name) in zip(parameters, ["0.weight", "0.bias", "2.weight", "2.bias"]) {
      #expect(distance(try parameter.gradientRowMajor(), try item.values("\(name).grad")) < tolerance, "\(name)")
    }
  }

  @Test func sequentialNetworksAgreeWithAutograd() throws {
    let item = try ConvolutionFixtures.cases("network")[0]
    let network = Sequential(
      try Conv2d(1, 6, kernelSize: 3), ReLU(), try Conv2d(6, 8, kernelSize: 3, padding: 1), ReLU(), MaxPool2d(2),
      Flatten())
    let parameters = network.namedParameters()
    #expect(parameters.map(\.name) == ["0.weight", "0.bias", "2.weight", "2.bias"])
    for entry in parameters { try item.fill(entry.parameter, entry.name) }
    let input = try item.leaf("input")
    let output = try network(input)
    try output.backward(given: try item.leaf("given", requiresGrad: false))
    #expect(distance(try output.rowMajor(), try item.values("output")) < tolerance)
    #expect(distance(try input.gradientRowMajor(), try item.values("input.grad")) < tolerance)
    for entry in parameters {
      let expected = try item.values("\(entry.name).grad")
      #expect(distance(try entry.parameter.gradientRowMajor(), expected) < tolerance, "\(entry.name)")
    }
  }

  @Test func notANumberGoesThroughReLUAndPooling() throws {
    let layer = try Conv2d(1, 2, kernelSize: 1)
    let input = Variable(shape: [1, 1, 2, 2], dtype: .float32, storage: try Storage(byteCount: 16))
    for index in 0..<4 { input.storage.floats[index] = index == 2 ? .nan : 1 }
    let output = try layer.forward(input, relu: true, pool: MaxPool2d(2))
    #expect(try output.rowMajor().allSatisfy(\.isNaN))
    #expect(try layer.forward(input, relu: true, pool: nil).rowMajor()[2].isNaN)
  }

  @Test func batchesWithoutImagesGiveZeroGradients() throws {
    let layer = try Conv2d(2, 3, kernelSize: 3)
    let input = Variable(
      shape: [0, 2, 5, 5], dtype: .float32, storage: try Storage(byteCount: 0), requiresGrad: true)
    let output = try layer(input)
    #expect(output.shape == [0, 3, 3, 3])
    try output.backward(given: Variable(shape: output.shape, dtype: .float32, storage: try Storage(byteCount: 0)))
    #expect(try layer.weight.gradientRowMajor() == [Float](repeating: 0, count: 54))
  }

  @Test func initialWeightsAreWithinPyTorchsBounds() throws {
    let layer = try Conv2d(8, 64, kernelSize: 3, groups: 2, generator: Generator(seed: 5))
    let bound = Float(1 / 6.0)  // 1 / sqrt(8 / 2 * 3 * 3)
    let weights = try layer.weight.rowMajor() + (try #require(layer.bias).rowMajor())
    #expect(weights.allSatisfy { abs($0) <= bound })
    #expect(weights.contains { $0 > 0.95 * bound } && weights.contains { $0 < -0.95 * bound })
    let again = try Conv2d(8, 64, kernelSize: 3, groups: 2, generator: Generator(seed: 5))
    #expect(try again.weight.rowMajor() + (try #require(again.bias).rowMajor()) == weights)
  }
}

@Suite struct ConvolutionErrorTests {
  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  private func input(_ shape: [Int]) throws -> Variable {
    Variable(shape: shape, dtype: .float32, storage: try Storage(byteCount: shape.reduce(4, *)))
  }

  @Test func shapesThatDoNotFitAreNamed() throws {
    let layer = try Conv2d(3, 8, kernelSize: 3)
    #expect(message { _ = try layer(try input([2, 4, 5, 5])) }.contains("[2, 4, 5, 5] has 4 channels"))
    #expect(message { _ = try layer(try input([2, 4, 5, 5])) }.contains("[8, 3, 3, 3]"))
    #expect(message { _ = try layer(try input([3, 5, 5])) }.contains("[3, 5, 5]"))
    #expect(message { _ = try layer(try input([1, 3, 2, 9])) }.contains("(3, 3) does not fit into an image of (2, 9)"))
    #expect(message { _ = try MaxPool2d(2)(try input([2, 4])) }.contains("[2, 4]"))
    #expect(message { _ = try AvgPool2d(2, padding: 2)(try input([1, 1, 4, 4])) }.contains("more than half"))
    #expect(message { _ = try MaxPool2d(5)(try input([1, 1, 4, 4])) }.contains("(5, 5) does not fit"))
    #expect(message { _ = try MaxPool2d(0)(try input([1, 1, 4, 4])) }.contains("kernelSize (0, 0)"))
    #expect(message { _ = try Flatten(startDim: 3)(try input([1, 4, 4])) }.contains("[1, 4, 4]"))
    #expect(message { _ = try BatchNorm2d(3)(try input([1, 4, 4, 4])) }.contains("[1, 4, 4, 4] has 4 channels"))
    #expect(message { _ = try BatchNorm2d(4)(try input([2, 4])) }.contains("[N, C, H, W]"))
    #expect(message { _ = try BatchNorm1d(4)(try input([1, 4])) }.contains("1 value per channel"))
  }

  @Test func optionsThatMakeNoSenseAreRefused() {
    #expect(message { _ = try Conv2d(3, 8, kernelSize: 3, groups: 2) }.contains("groups"))
    #expect(message { _ = try Conv2d(3, 8, kernelSize: 0) }.contains("kernelSize"))
    #expect(message { _ = try Conv2d(3, 8, kernelSize: 3, padding: -1) }.contains("padding"))
    #expect(message { _ = try Conv2d(3, 8, kernelSize: 3, stride: Pair(1, 1 << 40)) }.contains("stride"))
    #expect(message { _ = try BatchNorm1d(0) }.contains("0 features"))
  }
}
