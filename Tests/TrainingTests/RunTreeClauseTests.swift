import Checkpoint
import Kernels
import Testing

@testable import Training

/// Sections 1 to 4 of `spec/training-runs.md`.
@Suite struct RunTreeClauseTests {
  let folder: RunScratch

  init() throws { folder = try RunScratch() }

  private func tree(_ run: SmallRun = SmallRun()) throws -> Value {
    let trainer = try run.trainer(folder)
    try trainer.run()
    return try trainer.snapshot()
  }

  private func dict(_ value: Value) throws -> Dict {
    guard case .dict(let dict) = value else { throw CheckpointError(.damaged, "no dict") }
    return dict
  }

  /// RUN-1, RUN-5: the names, in order, and the counters.
  @Test func theTreeHasTheseEntries() throws {
    let root = try tree()
    #expect(try dict(root).names == ["model", "optimizer", "ema", "training"])
    let training = try dict(root["training"])
    #expect(
      training.names == [
        "step", "target_step", "epoch", "rng", "data", "schedule", "metrics", "config", "trainable", "best",
      ])
    #expect(training["step"]?.number == 24 && training["target_step"]?.number == 24)
    // 48 batches of 8, an epoch of 37 samples having 5.
    guard case .double(let epoch)? = training["epoch"] else { throw CheckpointError(.damaged, "no epoch") }
    #expect(abs(epoch - 9.6) < 1e-12)
    var plain = SmallRun()
    plain.ema = nil
    #expect(try dict(try tree(plain)).names == ["model", "optimizer", "training"])
  }

  /// RUN-2: names and shapes as PyTorch's Sequential of the same layers has them.
  @Test func theModelIsPyTorchsStateDict() throws {
    let model = try dict(try tree()["model"])
    #expect(
      model.names == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
        "4.weight", "4.bias",
      ])
    guard case .tensor(let weight)? = model["0.weight"], case .tensor(let count)? = model["1.num_batches_tracked"]
    else { throw CheckpointError(.damaged, "no tensor") }
    #expect(weight.shape == [16, 4] && weight.dtype == .float32)
    #expect(count.shape == [] && count.dtype == .int64)
  }

  /// RUN-3: groups name their parameters, a step is an int, and a schedule leaves what it starts from.
  @Test func theOptimizerHasTorchsLayout() throws {
    let optimizer = try tree()["optimizer"]
    #expect(try dict(optimizer).names == ["state", "param_groups"])
    let group = optimizer["param_groups"].items[0]
    #expect(
      group["param_names"].items.map(\.text) == ["0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"])
    #expect(group["params"].items.map(\.number) == [0, 1, 2, 3, 4, 5])
    #expect(group["initial_lr"].number == 0.01)
    guard case .dict(let state) = optimizer["state"], case .dict(let first)? = state[.int(0)] else {
      throw CheckpointError(.damaged, "no state")
    }
    #expect(first.names == ["step", "exp_avg", "exp_avg_sq"])
    guard case .int(24)? = first["step"] else { throw CheckpointError(.damaged, "no int step") }
  }

  /// RUN-4: averages by hand, step after step.
  @Test func theAveragesFollowTheWeights() throws {
    let trainer = try SmallRun().trainer(folder)
    var expected: [Float] = []
    for step in 1...6 {
      _ = try trainer.takeStep(wantsNorm: false)
      let weights = trainer.parameters[0].values
      expected = step == 1 ? weights : zip(expected, weights).map { $0 + Float(1 - 0.9) * ($1 - $0) }
    }
    let tree = try trainer.snapshot()
    #expect(try dict(tree["ema"]).names == dict(tree["model"]).names)
    let found = try tree["ema"]["0.weight"].elements(Float.self)
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-7 })
    #expect(
      try tree["ema"]["1.running_mean"].elements(Float.self) == tree["model"]["1.running_mean"].elements(Float.self))
  }

  /// RUN-6, RUN-7: the state says where the sequence goes on.
  @Test func theRandomStateIsSeedAndOffset() throws {
    let trainer = try SmallRun().trainer(folder)
    let before = trainer.generator.offset
    // The first weights: 64 and 16, 48 and 3 words, each in whole blocks.
    #expect(before == 16 + 4 + 12 + 1)
    _ = try trainer.takeStep(wantsNorm: false)
    let rng = try trainer.snapshot()["training"]["rng"]
    #expect(rng["algorithm"].text == "philox4x32-10")
    #expect(rng["seed"].number == 7)
    // Two batches of 8 x 16 elements under dropout.
    #expect(rng["offset"].number == 97.0)
  }

  /// RUN-8: which elements dropout keeps, from the words alone.
  @Test(arguments: [0.1, 0.25, 0.5, 0.9]) func dropoutTakesAWordAnElement(p: Double) throws {
    let count = 1003
    let ones = try Variable([Float](repeating: 1, count: count), shape: [count])
    let generator = Generator(seed: 3, offset: 11)
    let dropped = try dropout(ones, p: p, generator: generator).values
    #expect(generator.offset == 11 + 251)
    let words = Generator(seed: 3, offset: 11).bits(count)
    let limit = UInt64((p * 0x1p32).rounded())
    let scale = Float(1 / (1 - p))
    let expected: [Float] = words.map { UInt64($0) < limit ? 0 : scale }
    #expect(dropped == expected)
  }

  /// RUN-9: the fields of the position.
  @Test func thePositionSaysWhichBatchIsNext() throws {
    let data = try tree()["training"]["data"]
    #expect(try dict(data).names == ["order", "seed", "count", "batch", "shuffle", "epoch", "batch_in_epoch"])
    #expect(data["order"].text == "samples/1" && data["count"].number == 37 && data["batch"].number == 8)
    #expect(data["epoch"].number == 9 && data["batch_in_epoch"].number == 3)
  }

  /// RUN-13: the rate of the next step follows from what is stored.
  @Test func theScheduleIsItsNumbers() throws {
    let trainer = try SmallRun().trainer(folder, stopAt: 9)
    try trainer.run()
    let tree = try trainer.snapshot()
    let stored = tree["training"]["schedule"]
    #expect(try dict(stored).names == ["name", "total", "min_lr", "warmup"])
    guard let total = stored["total"].number, let least = stored["min_lr"].number, let warmup = stored["warmup"].number
    else { throw CheckpointError(.damaged, "no numbers") }
    let schedule = Warmup(steps: Int(warmup), next: CosineSchedule(total: Int(total), minimum: least))
    let group = tree["optimizer"]["param_groups"].items[0]
    let base = try #require(group["initial_lr"].number)
    #expect(group["lr"].number == schedule.learningRate(step: 9, base: base))
    #expect(schedule.learningRate(step: 9, base: base) < 0.01)
  }

  /// RUN-14: columns of one length.
  @Test func metricsAreColumns() throws {
    let metrics = try tree()["training"]["metrics"]
    #expect(try dict(metrics).names == ["step", "epoch", "loss", "lr", "grad_norm", "val_loss"])
    // Every fifth, the first, the last, and those with an evaluation.
    #expect(try metrics["step"].elements(Int64.self) == [1, 5, 8, 10, 15, 16, 20, 24])
    let validation = try metrics["val_loss"].elements(Double.self)
    #expect(validation.map(\.isNaN) == [true, true, false, true, true, false, true, false])
    for name in ["epoch", "loss", "lr", "grad_norm"] {
      let column = try metrics[name].elements(Double.self)
      #expect(column.count == 8 && column.allSatisfy { $0.isFinite && $0 > 0 }, "\(name)")
    }
  }

  /// RUN-15, RUN-16: the config as it was given; who is trained; the best so far.
  @Test func configTrainableAndBestAreThere() throws {
    let trainer = try SmallRun().trainer(folder)
    trainer.parameters[1].requiresGrad = false
    try trainer.run()
    let training = try trainer.snapshot()["training"]
    #expect(training["config"]["seed"].number == 7)
    let trainable = try dict(training["trainable"])
    #expect(trainable.names == trainer.parameterNames)
    #expect(trainable.entries.map(\.value.flag) == [true, false, true, true, true, true])
    let losses = try training["metrics"]["val_loss"].elements(Double.self).filter { !$0.isNaN }
    #expect(training["best"]["metric"].text == "val_loss")
    #expect(training["best"]["value"].number == losses.min())
    var plain = SmallRun()
    plain.hasValidation = false
    guard case .none = try tree(plain)["training"]["best"] else { throw CheckpointError(.damaged, "a best") }
  }
}
