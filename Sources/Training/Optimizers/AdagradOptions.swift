internal import Checkpoint
internal import Kernels

/// The hyper-parameters of Adagrad, with PyTorch's defaults.
public struct AdagradOptions: Sendable, Equatable {
  public var lr: Double
  public var lrDecay: Double
  public var weightDecay: Double
  /// What `sum` starts from.
  public var initialAccumulatorValue: Double
  public var eps: Double
  public var maximize: Bool

  public init(
    lr: Double = 1e-2, lrDecay: Double = 0, weightDecay: Double = 0, initialAccumulatorValue: Double = 0,
    eps: Double = 1e-10, maximize: Bool = false
  ) {
    self.lr = lr
    self.lrDecay = lrDecay
    self.weightDecay = weightDecay
    self.initialAccumulatorValue = initialAccumulatorValue
    self.eps = eps
    self.maximize = maximize
  }

  var kernelOptions: ck_adagrad_options {
    ck_adagrad_options(lr: lr, lr_decay: lrDecay, weight_decay: weightDecay, eps: eps, maximize: maximize ? 1 : 0)
  }
}

extension AdagradOptions: HyperParameters {
  static let slotNames = ["sum"]
  static let keepsStep = true

  func needs(slot: Int) -> Bool { true }

  func check() throws(CheckpointError) {
    try Self.check("lr", lr)
    try Self.check("lr_decay", lrDecay)
    try Self.check("weight_decay", weightDecay)
    try Self.check("initial_accumulator_value", initialAccumulatorValue)
    try Self.check("eps", eps)
  }

  var entries: [Dict.Entry] {
    [
      Dict.Entry("lr", .double(lr)), Dict.Entry("lr_decay", .double(lrDecay)), Dict.Entry("eps", .double(eps)),
      Dict.Entry("weight_decay", .double(weightDecay)),
      Dict.Entry("initial_accumulator_value", .double(initialAccumulatorValue)), Dict.Entry("foreach", .none),
      Dict.Entry("maximize", .bool(maximize)), Dict.Entry("differentiable", .bool(false)), Dict.Entry("fused", .none),
    ]
  }

  mutating func take(from group: StoredOptions) throws(CheckpointError) {
    try group.number("lr", into: &lr)
    try group.number("lr_decay", into: &lrDecay)
    try group.number("eps", into: &eps)
    try group.number("weight_decay", into: &weightDecay)
    try group.number("initial_accumulator_value", into: &initialAccumulatorValue)
    try group.flag("maximize", into: &maximize)
  }
}
