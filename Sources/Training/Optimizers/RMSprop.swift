public import Checkpoint
internal import Kernels

/// RMSprop as PyTorch defines it: `torch.optim.RMSprop`. torch's square root is not IEEE's: results agree within 1e-6.
public final class RMSprop: Optimizer {
  public var algorithm: String { "RMSprop" }

  /// The hyper-parameters of each group.
  public internal(set) var options: [RMSpropOptions]
  var extras: [GroupExtras]
  let table: ParameterTable
  private let kernelOptions: UnsafeMutablePointer<ck_rmsprop_options>

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
    options = []
    extras = groups.map { _ in GroupExtras() }
    kernelOptions = .allocate(capacity: groups.count)
    for group in groups {
      var own = defaults
      group.change(&own)
      try own.check()
      options.append(own)
    }
  }

  deinit { kernelOptions.deallocate() }

  public func step(scalingGradientsBy factor: Float) throws(CheckpointError) {
    try table.gather(makeState)
    for group in options.indices { (kernelOptions + group).initialize(to: options[group].kernelOptions) }
    ck_rmsprop(table.tensors, table.count, kernelOptions, factor)
  }

  private func makeState(_ index: Int) throws(CheckpointError) {
    let options = options[table.tensors[index].group]
    for slot in RMSpropOptions.slotNames.indices where options.needs(slot: slot) { try table.make(index, slot) }
  }
}

extension RMSprop: TableOptimizer {}
