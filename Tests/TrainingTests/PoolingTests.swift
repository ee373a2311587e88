import Checkpoint
import Testing

@testable import Training

@Suite struct PoolingTests {
  @Test(arguments: [Variable.Layout.contiguous, .channelsLast]) func agreesWithAutograd(layout: Variable.Layout) throws
  {
    let cases = try ConvolutionFixtures.cases("poolings")
    #expect(cases.count == 18)
    for item in cases {
      let input = try item.leaf("input", layout: layout)
      let (kernel, stride, padding) = (try item.pair("kernel"), try item.pair("stride"), try item.pair("padding"))
      let pool: Module =
        try item.string("kind") == "max"
        ? MaxPool2d(kernel, stride: stride, padding: padding)
        : AvgPool2d(kernel, stride: stride, padding: padding, countIncludePad: try item.flag("counts"))
      let given = try item.leaf("given", requiresGrad: false)
      let output = try pool(input)
      try output.backward(given: given)
      #expect(output.shape == (try item.tensor("output").shape), "\(item)")
      #expect(distance(try output.rowMajor(), try item.values("output")) < tolerance, "\(item)")
      #expect(distance(try input.gradientRowMajor(), try item.values("input.grad")) < tolerance, "\(item)")
      // Once more: gradients add up.
      try pool(input).backward(given: given)
      let twice = try item.values("input.grad").map { 2 * $0 }
      #expect(distance(try input.gradientRowMajor(), twice) < tolerance, "\(item), twice")
    }
  }

  @Test func strideIsTheKernelsSizeByDefault() {
    #expect(MaxPool2d(3).stride == 3)
    #expect(AvgPool2d(Pair(2, 3)).stride == Pair(2, 3))
    #expect(MaxPool2d(3, stride: 1).stride == 1)
  }

  @Test func theFirstOfEqualElementsGetsTheGradient() throws {
    let input = Variable(shape: [1, 1, 2, 2], dtype: .float32, storage: try Storage(byteCount: 16), requiresGrad: true)
    for index in 0..<4 { input.storage.floats[index] = 7 }
    let output = try maxPool2d(input, kernelSize: 2)
    let given = Variable(shape: [1, 1, 1, 1], dtype: .float32, storage: try Storage(byteCount: 4))
    given.storage.floats.pointee = 3
    try output.backward(given: given)
    #expect(try input.gradientRowMajor() == [3, 0, 0, 0])
  }

  @Test func flatteningGivesPyTorchsOrder() throws {
    let input = Variable(shape: [2, 3, 2, 2], dtype: .float32, storage: try Storage(byteCount: 96), requiresGrad: true)
    for index in 0..<24 { input.storage.floats[index] = Float(index) }
    let output = try Flatten()(try input.channelsLast())
    #expect(output.shape == [2, 12])
    #expect(try output.rowMajor() == (0..<24).map(Float.init))
    let given = Variable(shape: [2, 12], dtype: .float32, storage: try Storage(byteCount: 96))
    for index in 0..<24 { given.storage.floats[index] = Float(index * index) }
    try output.backward(given: given)
    #expect(try input.gradientRowMajor() == (0..<24).map { Float($0 * $0) })
    #expect(try flatten(input).shape == [24])
    #expect(try flatten(input, startDim: 1, endDim: 2).shape == [2, 6, 2])
  }
}
