public import Checkpoint
internal import Kernels

/// Stochastic gradient descent as PyTorch defines it: `torch.optim.SGD`, with the bits of its default path.
public final class SGD: Optimizer {
  public var algorithm: String { "SGD" }

  /// The hyper-parameters of each group.
  public internal(set) var options: [SGDOptions]
  var extras: [GroupExtras]
  let table: ParameterTable
  private let kernelOptions: UnsafeMutablePointer<ck_sgd_options>

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
    ck_sgd(table.tensors, table.count, kernelOptions, factor)
  }

  private func makeState(_ index: Int) throws(CheckpointError) {
    let options = options[table.tensors[index].group]
    for slot in SGDOptions.slotNames.indices where options.needs(slot: slot) { try table.make(index, slot) }
  }
}

extension SGD: TableOptimizer {}
