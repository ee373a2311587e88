internal import Checkpoint
internal import Kernels

/// The hyper-parameters of RMSprop, with PyTorch's defaults.
public struct RMSpropOptions: Sendable, Equatable {
  public var lr: Double
  public var alpha: Double
  public var eps: Double
  public var weightDecay: Double
  public var momentum: Double
  /// Whether the gradient's average is taken off its second moment.
  public var centered: Bool
  public var maximize: Bool

  public init(
    lr: Double = 1e-2, alpha: Double = 0.99, eps: Double = 1e-8, weightDecay: Double = 0, momentum: Double = 0,
    centered: Bool = false, maximize: Bool = false
  ) {
    self.lr = lr
    self.alpha = alpha
    self.eps = eps
    self.weightDecay = weightDecay
    self.momentum = momentum
    self.centered = centered
    self.maximize = maximize
  }

  var kernelOptions: ck_rmsprop_options {
    ck_rmsprop_options(
      lr: lr, alpha: alpha, eps: eps, weight_decay: weightDecay, momentum: momentum, centered: centered ? 1 : 0,
      maximize: maximize ? 1 : 0)
  }
}

extension RMSpropOptions: HyperParameters {
  static let slotNames = ["square_avg", "momentum_buffer", "grad_avg"]
  static let keepsStep = true

  func needs(slot: Int) -> Bool { slot == 0 || (slot == 1 ? momentum > 0 : centered) }

  func check() throws(CheckpointError) {
    try Self.check("lr", lr)
    try Self.check("alpha", alpha)
    try Self.check("eps", eps)
    try Self.check("weight_decay", weightDecay)
    try Self.check("momentum", momentum)
  }

  var entries: [Dict.Entry] {
    [
      Dict.Entry("lr", .double(lr)), Dict.Entry("momentum", .double(momentum)), Dict.Entry("alpha", .double(alpha)),
      Dict.Entry("eps", .double(eps)), Dict.Entry("centered", .bool(centered)),
      Dict.Entry("weight_decay", .double(weightDecay)), Dict.Entry("capturable", .bool(false)),
      Dict.Entry("foreach", .none), Dict.Entry("maximize", .bool(maximize)),
      Dict.Entry("differentiable", .bool(false)),
    ]
  }

  mutating func take(from group: StoredOptions) throws(CheckpointError) {
    try group.number("lr", into: &lr)
    try group.number("momentum", into: &momentum)
    try group.number("alpha", into: &alpha)
    try group.number("eps", into: &eps)
    try group.flag("centered", into: &centered)
    try group.number("weight_decay", into: &weightDecay)
    try group.flag("maximize", into: &maximize)
  }
}
