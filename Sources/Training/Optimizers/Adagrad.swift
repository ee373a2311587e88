public import Checkpoint
internal import Kernels

/// Adagrad as PyTorch defines it: `torch.optim.Adagrad`, with the bits of `fused=True`.
public final class Adagrad: Optimizer {
  public var algorithm: String { "Adagrad" }

  /// The hyper-parameters of each group.
  public internal(set) var options: [AdagradOptions]
  var extras: [GroupExtras]
  let table: ParameterTable
  private let kernelOptions: KernelOptions<ck_adagrad_options>

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
    options = try Self.options(of: groups, defaults)
    extras = groups.map { _ in GroupExtras() }
    kernelOptions = KernelOptions(groups: groups.count)
    for index in 0..<table.count { try startState(index) }
  }

  public func step(scalingGradientsBy factor: Float) throws(CheckpointError) {
    try table.gather(startState)
    ck_adagrad(table.tensors, table.count, kernelOptions.set(options.lazy.map(\.kernelOptions)), factor)
  }

  func startState(_ index: Int) throws(CheckpointError) {
    let options = options[table.tensors[index].group]
    try table.make(index, 0, value: Float(options.initialAccumulatorValue))
  }
}

extension Adagrad: TableOptimizer {}
