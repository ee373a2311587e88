internal import Checkpoint
internal import Kernels

/// The hyper-parameters of Adam and AdamW, with PyTorch's defaults for Adam.
public struct AdamOptions: Sendable, Equatable {
  public var lr: Double
  public var betas: (Double, Double)
  public var eps: Double
  public var weightDecay: Double
  /// Whether the largest second moment so far is used.
  public var amsgrad: Bool
  public var maximize: Bool
  /// Whether the weights shrink by themselves (AdamW), rather than through the gradient (Adam).
  public var decoupledWeightDecay: Bool

  public init(
    lr: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8, weightDecay: Double = 0,
    amsgrad: Bool = false, maximize: Bool = false, decoupledWeightDecay: Bool = false
  ) {
    self.lr = lr
    self.betas = betas
    self.eps = eps
    self.weightDecay = weightDecay
    self.amsgrad = amsgrad
    self.maximize = maximize
    self.decoupledWeightDecay = decoupledWeightDecay
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.lr == b.lr && a.betas == b.betas && a.eps == b.eps && a.weightDecay == b.weightDecay && a.amsgrad == b.amsgrad
      && a.maximize == b.maximize && a.decoupledWeightDecay == b.decoupledWeightDecay
  }

  var kernelOptions: ck_adam_options {
    ck_adam_options(
      lr: lr, beta1: betas.0, beta2: betas.1, eps: eps, weight_decay: weightDecay,
      decoupled: decoupledWeightDecay ? 1 : 0, amsgrad: amsgrad ? 1 : 0, maximize: maximize ? 1 : 0)
  }
}

extension AdamOptions: HyperParameters {
  static let slotNames = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
  static let keepsStep = true

  func needs(slot: Int) -> Bool { slot < 2 || amsgrad }

  func check() throws(CheckpointError) {
    try Self.check("lr", lr)
    try Self.check("eps", eps)
    try Self.check("weight_decay", weightDecay)
    for beta in [betas.0, betas.1] { try Self.check("betas", beta, below: 1) }
  }

  var entries: [Dict.Entry] {
    [
      Dict.Entry("lr", .double(lr)), Dict.Entry("betas", .sequence(.tuple, [.double(betas.0), .double(betas.1)])),
      Dict.Entry("eps", .double(eps)), Dict.Entry("weight_decay", .double(weightDecay)),
      Dict.Entry("amsgrad", .bool(amsgrad)), Dict.Entry("maximize", .bool(maximize)), Dict.Entry("foreach", .none),
      Dict.Entry("capturable", .bool(false)), Dict.Entry("differentiable", .bool(false)), Dict.Entry("fused", .none),
      Dict.Entry("decoupled_weight_decay", .bool(decoupledWeightDecay)),
    ]
  }

  mutating func take(from group: StoredOptions) throws(CheckpointError) {
    try group.number("lr", into: &lr)
    try group.pair("betas", into: &betas)
    try group.number("eps", into: &eps)
    try group.number("weight_decay", into: &weightDecay)
    try group.flag("amsgrad", into: &amsgrad)
    try group.flag("maximize", into: &maximize)
  }
}
