public import Checkpoint
internal import Kernels

extension Trainer {
  /// Everything that the run is, as a tree that nothing changes any more: `model`, `optimizer`, `ema` where there is
  /// one, and `training`.
  public func snapshot() throws(CheckpointError) -> Value {
    var entries = [
      Dict.Entry(.string("model"), .dict(try model.stateDict())),
      Dict.Entry(.string("optimizer"), .dict(try optimizer.stateDict())),
    ]
    if let ema { entries.append(Dict.Entry(.string("ema"), .dict(try ema.stateDict()))) }
    entries.append(Dict.Entry(.string("training"), .dict(try trainingState())))
    return .dict(Dict(entries))
  }

  private func trainingState() throws(CheckpointError) -> Dict {
    let trainable = zip(parameterNames, parameters).map { Dict.Entry(.string($0), .bool($1.requiresGrad)) }
    var best = Value.none
    if let found = self.best {
      best = .dict(
        Dict(["metric": .string("val_loss"), "value": .double(found.loss), "step": .int(Int64(found.step))]))
    }
    return Dict([
      "step": .int(Int64(step)), "target_step": .int(Int64(targetStep)), "epoch": .double(epoch),
      "rng": generator.state, "data": sampler.state, "schedule": schedule.value, "metrics": try metrics.value,
      "config": options.config, "trainable": .dict(Dict(trainable)), "best": best,
    ])
  }

  /// Whether all weights are numbers; infinity is none.
  var hasFiniteWeights: Bool {
    parameters.allSatisfy { ck_norm_sum(CK_NORM_ABSOLUTE, 1, $0.storage.floats, $0.count).isFinite }
  }

  /// Takes note of a validation loss; whether it is the smallest so far.
  func noteValidation(_ loss: Double) -> Bool {
    guard loss.isFinite, loss < best?.loss ?? .infinity else { return false }
    best = Best(loss: loss, step: step)
    return true
  }
}

extension Generator {
  /// The name of how the numbers are made, as a checkpoint has it.
  static let algorithm = "philox4x32-10"

  /// The state as it lies in a checkpoint.
  var state: Value {
    .dict(Dict(["algorithm": .string(Self.algorithm), "seed": .unsigned(seed), "offset": .unsigned(offset)]))
  }
}

extension Value {
  /// A number of 64 bits without sign.
  static func unsigned(_ number: UInt64) -> Value {
    if let number = Int64(exactly: number) { return .int(number) }
    return BigInt(decimal: "\(number)").map(Value.bigInt) ?? .none
  }
}

extension Dict {
  /// A dictionary with string keys, in this order.
  init(_ entries: KeyValuePairs<String, Value>) {
    self.init(entries.map { Entry(.string($0.key), $0.value) })
  }
}
