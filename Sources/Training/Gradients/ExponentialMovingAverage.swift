public import Checkpoint
internal import Kernels

/// An average of a model's weights over its steps that forgets the old ones:
/// `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn(decay)`.
///
/// The first update takes the weights as they are; later ones move the average towards them by `1 - decay` of the
/// way. Buffers are not averaged: a state dict has those that the model has at that time.
public final class ExponentialMovingAverage {
  public let decay: Double
  private let model: Module
  private let averages: [(parameter: Parameter, average: Variable)]
  /// Whether there was an update: the next one moves the average rather than begins it.
  var hasBegun = false

  /// - Throws: `usage` for a decay outside 0 ..< 1, `inputOutput` when memory is short.
  public init(_ model: Module, decay: Double) throws(CheckpointError) {
    guard decay >= 0, decay < 1 else {
      throw CheckpointError(.usage, "a decay of \(decay); at least 0 and below 1 is due")
    }
    (self.model, self.decay) = (model, decay)
    var averages: [(Parameter, Variable)] = []
    for parameter in model.parameters() { averages.append((parameter, try Variable.zeros(parameter.shape))) }
    self.averages = averages
    restart()
  }

  /// Takes the weights of a step in.
  public func update() {
    guard hasBegun else {
      copyWeights()
      hasBegun = true
      return
    }
    let weight = Float(1 - decay)
    for (parameter, average) in averages {
      ck_lerp(average.storage.floats, parameter.storage.floats, weight, parameter.count)
    }
  }

  /// Forgets all updates: as an average that was made now.
  public func restart() {
    copyWeights()
    hasBegun = false
  }

  private func copyWeights() {
    for (parameter, average) in averages {
      ck_copy(average.storage.base, parameter.storage.base, parameter.count * 4)
    }
  }

  /// The averages under the names of the model's state dict, which they load into; buffers are the model's.
  ///
  /// - Throws: `inputOutput` when memory is short.
  public func stateDict() throws(CheckpointError) -> Dict { try model.stateDict(replacing: replacements) }

  /// Takes averages over.
  ///
  /// - Throws: `usage` with one report of all that does not fit; then nothing was changed.
  public func load(_ state: Dict) throws(CheckpointError) { try prepareLoad(state)() }

  /// Looks at averages that are to be taken over; what comes back does it.
  func prepareLoad(_ state: Dict) throws(CheckpointError) -> () throws(CheckpointError) -> Void {
    let plan = try model.checkStateDict(state)
    return { () throws(CheckpointError) in
      let averages = self.replacements
      for (value, tensor) in plan.tensors { try averages[ObjectIdentifier(value)]?.copy(from: tensor) }
      self.hasBegun = true
    }
  }

  private var replacements: [ObjectIdentifier: Variable] {
    var replacements: [ObjectIdentifier: Variable] = [:]
    for (parameter, average) in averages { replacements[ObjectIdentifier(parameter)] = average }
    return replacements
  }
}
