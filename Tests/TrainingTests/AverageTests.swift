import Checkpoint
import Testing

@testable import Training

/// Moving averages against `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`.
@Suite struct AverageTests {
  /// The fixtures' model: one parameter has two names, and there are buffers.
  private final class Averaged: Module {
    let weight: Parameter
    let again: Parameter
    let small: Parameter
    let norm: BatchNorm1d

    init(step: Int) throws(CheckpointError) {
      weight = try Parameter(shape: [1003])
      again = weight
      small = try Parameter(shape: [5])
      norm = try BatchNorm1d(13)
      super.init()
      set(step)
    }

    func set(_ step: Int) {
      for (tensor, parameter) in parameters().enumerated() {
        Hashed.fill(parameter.storage.floats, parameter.count, step, tensor)
      }
      for (name, buffer) in namedBuffers() {
        switch name {
        case "norm.running_mean": Hashed.fill(buffer.value.storage.floats, 13, step, 10)
        case "norm.num_batches_tracked": buffer.value.storage.integers.pointee = Int64(step)
        default: break
        }
      }
    }
  }

  private func checksum(_ average: ExponentialMovingAverage) throws -> Int64 {
    let dict = try average.stateDict()
    let values = try ["weight", "small", "norm.weight", "norm.bias"].map { name in
      try (dict[name] ?? .none).elements(Float.self)
    }
    return Hashed.checksum(values)
  }

  private func expectSame(_ found: Dict, _ truth: Value) throws {
    guard case .dict(let truth) = truth else { throw Missing("value") }
    #expect(found.entries.map(\.key) == truth.entries.map(\.key))
    for (a, b) in zip(found.entries, truth.entries) {
      guard case .tensor(let x) = a.value, case .tensor(let y) = b.value else { throw Missing("value") }
      #expect(try x.dtype == y.dtype && x.shape == y.shape && x.digest() == y.digest(), "\(a.key)")
    }
  }

  @Test(arguments: ["0.9", "0.999", "0.3", "0.0"]) func everyUpdateHasTorchsBits(decay: String) throws {
    let fixture = try optimizerFixture("averages")[decay]
    let sums = try fixture["checksums"].elements(Int64.self)
    try #require(sums.count == 6)
    let model = try Averaged(step: 0)
    let average = try ExponentialMovingAverage(model, decay: try #require(Double(decay)))
    for (index, sum) in sums.enumerated() {
      model.set(index + 1)
      average.update()
      #expect(try checksum(average) == sum, "update \(index + 1)")
    }
    // Names, ties and buffers too.
    try expectSame(average.stateDict(), fixture["end"])
    let lens = try #require(StateDict(.dict(try average.stateDict())))
    #expect(lens.ties == [["weight", "again"]])
  }

  @Test func torchsAverageGoesOnWithTorchsBits() throws {
    let fixture = try optimizerFixture("averages")["0.9"]
    let model = try Averaged(step: 3)
    let average = try ExponentialMovingAverage(model, decay: 0.9)
    guard case .dict(let middle) = fixture["middle"] else { throw Missing("value") }
    let weights = model.parameters().map(\.values)
    try average.load(middle)
    #expect(model.parameters().map(\.values) == weights)
    for step in 4...6 {
      model.set(step)
      average.update()
    }
    try expectSame(average.stateDict(), fixture["end"])
  }

  @Test func aStateThatDoesNotFitChangesNothing() throws {
    let model = try Averaged(step: 1)
    let average = try ExponentialMovingAverage(model, decay: 0.9)
    average.update()
    model.set(2)
    average.update()
    let before = try checksum(average)
    var state = try average.stateDict()
    for index in state.entries.indices where state.entries[index].key == .string("small") {
      state.entries[index].value = .tensor(
        try Tensor(dtype: .float32, shape: [4], source: BufferSource(elements: [Float](repeating: 9, count: 4))))
    }
    state.entries.removeAll { $0.key == .string("norm.bias") }
    let error = #expect(throws: CheckpointError.self) { try average.load(state) }
    #expect(error?.message.contains("missing: norm.bias; not fitting: 'small'") == true)
    #expect(try checksum(average) == before)
  }

  /// As a new average: what there was is forgotten, and the first update takes the weights as they are.
  @Test func aRestartForgets() throws {
    let sums = try optimizerFixture("averages")["0.9"]["checksums"].elements(Int64.self)
    let model = try Averaged(step: 40)
    let average = try ExponentialMovingAverage(model, decay: 0.9)
    for step in 41...43 {
      model.set(step)
      average.update()
    }
    average.restart()
    try expectSame(average.stateDict(), .dict(try model.stateDict()))
    for step in 1...3 {
      model.set(step)
      average.update()
      #expect(try checksum(average) == sums[step - 1])
    }
  }

  @Test(arguments: [-0.1, 1, 1.5, Double.nan]) func aDecayOutsideItsRangeIsRefused(decay: Double) throws {
    let model = try Averaged(step: 0)
    #expect(throws: CheckpointError.self) { _ = try ExponentialMovingAverage(model, decay: decay) }
  }
}
