public import Checkpoint
internal import Kernels

/// Stochastic gradient descent as PyTorch defines it: `torch.optim.SGD`, with the bits of its default path.
public final class SGD: Optimizer {
  public var algorithm: String { "SGD" }

  /// The hyper-parameters of each group.
  public internal(set) var options: [SGDOptions]
  var extras: [GroupExtras]
  let table: ParameterTable
  private let kernelOptions: KernelOptions<ck_sgd_options>

  /// - Throws: `usage` when a parameter occurs twice or a value makes no sense.
  public convenience init(
    parameters: [NamedParameter], lr: Double = 1e-3, momentum: Double = 0, dampening: Double = 0,
    weightDecay: Double = 0, nesterov: Bool = false, maximize: Bool = false
  ) throws(CheckpointError) {
    let options = SGDOptions(
      lr: lr, momentum: momentum, dampening: dampening, weightDecay: weightDecay, nesterov: nesterov, maximize: maximize
    )
    try self.init(groups: [ParameterGroup(parameters)], options: options)
  }

  /// Several groups; `options` holds where a group does not say otherwise.
  public init(
    groups: [ParameterGroup<SGDOptions>], options defaults: SGDOptions = SGDOptions()
  ) throws(CheckpointError) {
    table = try ParameterTable(groups.map(\.parameters))
    options = try Self.options(of: groups, defaults)
    extras = groups.map { _ in GroupExtras() }
    kernelOptions = KernelOptions(groups: groups.count)
  }

  public func step(scalingGradientsBy factor: Float) throws(CheckpointError) {
    try table.gather(makeSlots)
    ck_sgd(table.tensors, table.count, kernelOptions.set(options.lazy.map(\.kernelOptions)), factor)
  }
}

extension SGD: TableOptimizer {}
