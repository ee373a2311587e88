internal import Checkpoint
internal import Kernels

/// The hyper-parameters of SGD, with PyTorch's defaults.
public struct SGDOptions: Sendable, Equatable {
  public var lr: Double
  public var momentum: Double
  public var dampening: Double
  public var weightDecay: Double
  /// Nesterov's momentum; it needs a momentum and no dampening.
  public var nesterov: Bool
  public var maximize: Bool

  public init(
    lr: Double = 1e-3, momentum: Double = 0, dampening: Double = 0, weightDecay: Double = 0, nesterov: Bool = false,
    maximize: Bool = false
  ) {
    self.lr = lr
    self.momentum = momentum
    self.dampening = dampening
    self.weightDecay = weightDecay
    self.nesterov = nesterov
    self.maximize = maximize
  }

  var kernelOptions: ck_sgd_options {
    ck_sgd_options(
      lr: lr, momentum: momentum, dampening: dampening, weight_decay: weightDecay, nesterov: nesterov ? 1 : 0,
      maximize: maximize ? 1 : 0)
  }
}

extension SGDOptions: HyperParameters {
  static let slotNames = ["momentum_buffer"]
  static let keepsStep = false

  func needs(slot: Int) -> Bool { momentum != 0 }

  func check() throws(CheckpointError) {
    try Self.check("lr", lr)
    try Self.check("momentum", momentum)
    try Self.check("weight_decay", weightDecay)
    guard !dampening.isNaN else { throw CheckpointError(.usage, "dampening is nan") }
    guard !nesterov || (momentum > 0 && dampening == 0) else {
      throw CheckpointError(.usage, "nesterov needs a momentum and no dampening")
    }
  }

  var entries: [Dict.Entry] {
    [
      Dict.Entry("lr", .double(lr)), Dict.Entry("momentum", .double(momentum)),
      Dict.Entry("dampening", .double(dampening)), Dict.Entry("weight_decay", .double(weightDecay)),
      Dict.Entry("nesterov", .bool(nesterov)), Dict.Entry("maximize", .bool(maximize)), Dict.Entry("foreach", .none),
      Dict.Entry("differentiable", .bool(false)), Dict.Entry("fused", .none),
    ]
  }

  mutating func take(from group: StoredOptions) throws(CheckpointError) {
    try group.number("lr", into: &lr)
    try group.number("momentum", into: &momentum)
    try group.number("dampening", into: &dampening)
    try group.number("weight_decay", into: &weightDecay)
    try group.flag("nesterov", into: &nesterov)
    try group.flag("maximize", into: &maximize)
  }
}
