public import Checkpoint
internal import Kernels

/// RMSprop as PyTorch defines it: `torch.optim.RMSprop`. torch's square root is not IEEE's: results agree within 1e-6.
public final class RMSprop: Optimizer {
  public var algorithm: String { "RMSprop" }

  /// The hyper-parameters of each group.
  public internal(set) var options: [RMSpropOptions]
  var extras: [GroupExtras]
  let table: ParameterTable
  private let kernelOptions: KernelOptions<ck_rmsprop_options>

  /// - Throws: `usage` when a parameter occurs twice or a value makes no sense.
  public convenience init(
    parameters: [NamedParameter], lr: Double = 1e-2, alpha: Double = 0.99, eps: Double = 1e-8,
    weightDecay: Double = 0, momentum: Double = 0, centered: Bool = false, maximize: Bool = false
  ) throws(CheckpointError) {
    let options = RMSpropOptions(
      lr: lr, alpha: alpha, eps: eps, weightDecay: weightDecay, momentum: momentum, centered: centered,
      maximize: maximize)
    try self.init(groups: [ParameterGroup(parameters)], options: options)
  }

  /// Several groups; `options` holds where a group does not say otherwise.
  public init(
    groups: [ParameterGroup<RMSpropOptions>], options defaults: RMSpropOptions = RMSpropOptions()
  ) throws(CheckpointError) {
    table = try ParameterTable(groups.map(\.parameters))
    options = try Self.options(of: groups, defaults)
    extras = groups.map { _ in GroupExtras() }
    kernelOptions = KernelOptions(groups: groups.count)
  }

  public func step(scalingGradientsBy factor: Float) throws(CheckpointError) {
    try table.gather(makeSlots)
    ck_rmsprop(table.tensors, table.count, kernelOptions.set(options.lazy.map(\.kernelOptions)), factor)
  }
}

extension RMSprop: TableOptimizer {}
