public import Checkpoint
internal import Kernels

/// Adagrad as PyTorch defines it: `torch.optim.Adagrad`, with the bits of `fused=True`.
public final class Adagrad: Optimizer {
  public var algorithm: String { "Adagrad" }

  /// The hyper-parameters of each group.
  public internal(set) var options: [AdagradOptions]
  var extras: [GroupExtras]
  let table: ParameterTable
  private let kernelOptions: UnsafeMutablePointer<ck_adagrad_options>

  /// - Throws: `usage` when a parameter occurs twice or a value makes no sense.
  public convenience init(
    parameters: [NamedParameter], lr: Double = 1e-2, lrDecay: Double = 0, weightDecay: Double = 0,
    initialAccumulatorValue: Double = 0, eps: Double = 1e-10, maximize: Bool = false
  ) throws(CheckpointError) {
    let options = AdagradOptions(
      lr: lr, lrDecay: lrDecay, weightDecay: weightDecay, initialAccumulatorValue: initialAccumulatorValue, eps: eps,
      maximize: maximize)
    try self.init(groups: [ParameterGroup(parameters)], options: options)
  }

  /// Several groups; `options` holds where a group does not say otherwise.
  public init(
    groups: [ParameterGroup<AdagradOptions>], options defaults: AdagradOptions = AdagradOptions()
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
    for index in 0..<table.count { try startState(index) }
  }

  deinit { kernelOptions.deallocate() }

  public func step(scalingGradientsBy factor: Float) throws(CheckpointError) {
    try table.gather(startState)
    for group in options.indices { (kernelOptions + group).initialize(to: options[group].kernelOptions) }
    ck_adagrad(table.tensors, table.count, kernelOptions, factor)
  }

  func startState(_ index: Int) throws(CheckpointError) {
    let options = options[table.tensors[index].group]
    try table.make(index, 0, value: Float(options.initialAccumulatorValue))
  }
}

extension Adagrad: TableOptimizer {}
