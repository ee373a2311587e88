import Checkpoint
import Testing

@testable import Training

@Suite struct BatchNormTests {
  private func module(_ item: FixtureCase) throws -> BatchNorm {
    let features = try item.int("features")
    let (eps, momentum) = (try item.number("eps") ?? 0, try item.number("momentum"))
    let (affine, tracks) = (try item.flag("affine"), try item.flag("tracks"))
    let module =
      try item.int("rank") == 4
      ? try BatchNorm2d(features, eps: eps, momentum: momentum, affine: affine, trackRunningStats: tracks)
      : try BatchNorm1d(features, eps: eps, momentum: momentum, affine: affine, trackRunningStats: tracks)
    if affine {
      try item.fill(module.weight, "weight")
      try item.fill(module.bias, "bias")
    }
    return module
  }

  @Test(arguments: [Variable.Layout.contiguous, .channelsLast])
  func severalStepsAgreeWithPyTorch(layout: Variable.Layout) throws {
    let cases = try ConvolutionFixtures.cases("norms")
    #expect(cases.count == 7)
    for item in cases {
      let module = try module(item)
      for (index, step) in try item.list("steps").enumerated() {
        module.training = index < 3
        let place = "\(item), step \(index)"
        for parameter in [module.weight, module.bias] { parameter?.gradient = nil }
        let input = try step.leaf("input", layout: layout)
        let output = try module(input)
        try output.backward(given: try step.leaf("given", requiresGrad: false))
        #expect(distance(try output.rowMajor(), try step.values("output")) < tolerance, "\(place)")
        #expect(distance(try input.gradientRowMajor(), try step.values("input.grad")) < tolerance, "\(place)")
        for (parameter, name) in [(module.weight, "weight"), (module.bias, "bias")] {
          guard let parameter else { continue }
          #expect(distance(try parameter.gradientRowMajor(), try step.values("\(name).grad")) < tolerance, "\(place)")
        }
        for (buffer, name) in [(module.runningMean, "running_mean"), (module.runningVar, "running_var")] {
          guard let buffer else { continue }
          #expect(distance(try buffer.value.rowMajor(), try step.values(name)) < tolerance, "\(place): \(name)")
        }
        guard let tracked = module.numBatchesTracked?.value else { continue }
        #expect(tracked.dtype == .int64 && tracked.shape == [])
        #expect(
          [tracked.storage.integers.pointee] == (try step.tensor("num_batches_tracked").elements(as: Int64.self)))
      }
    }
  }

  @Test func stateHasPyTorchsNamesInItsOrder() throws {
    let names = try Sequential(try BatchNorm2d(3)).stateDict().entries.map(\.key)
    let expected = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    #expect(names == expected.map { Key.string("0.\($0)") })
  }

  @Test func withoutStatisticsThereAreNoBuffers() throws {
    let module = try BatchNorm1d(3, affine: false, trackRunningStats: false)
    #expect(module.weight == nil && module.bias == nil)
    #expect(module.runningMean == nil && module.runningVar == nil && module.numBatchesTracked == nil)
  }
}
