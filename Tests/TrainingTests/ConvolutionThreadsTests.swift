import Checkpoint
import Testing

@testable import Training

/// Serialized: the number of threads is one for the process. Other suites' results do not depend on it.
@Suite(.serialized) struct ConvolutionThreadsTests {
  /// Conv, batch norm, pooling: outputs, gradients and statistics.
  private func bits(threads: Int) throws -> [[UInt32]] {
    let before = Threads.count
    Threads.count = threads
    defer { Threads.count = before }
    let item = try #require(
      try ConvolutionFixtures.cases("convolutions").first { try $0.string("name") == "many images" })
    let input = try item.leaf("input", layout: .channelsLast)
    let (weight, bias) = (try item.leaf("weight"), try item.leaf("bias"))
    let shape = try ConvolutionShape(
      input: input.shape, weight: weight.shape, bias: bias.shape, stride: 1, padding: 1, dilation: 1, groups: 1)
    let hidden = try convolution(
      input, weight, bias, shape, ConvolutionAfter(relu: true), ConvolutionPasses(worth: 1))
    let norm = try BatchNorm2d(weight.shape[0])
    let output = try AvgPool2d(2)(maxPool2d(norm(hidden), kernelSize: 2))
    let given = Variable(
      shape: output.shape, dtype: .float32, storage: try Storage(byteCount: output.count * 4))
    for index in 0..<output.count { given.storage.floats[index] = Float(index % 17) - 8.25 }
    try output.backward(given: given)
    let values = [try output.rowMajor()] + (try [input, weight, bias].map { try $0.gradientRowMajor() })
    let statistics = [try #require(norm.runningMean).value, try #require(norm.runningVar).value]
    return (values + (try statistics.map { try $0.rowMajor() })).map { $0.map(\.bitPattern) }
  }

  @Test func theNumberOfThreadsDoesNotChangeABit() throws {
    let one = try bits(threads: 1)
    for threads in [2, 3, 2, 5] { #expect(try bits(threads: threads) == one, "\(threads) threads") }
  }
}
