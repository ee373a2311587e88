public import Checkpoint
internal import Kernels

/// Adam as PyTorch defines it: `torch.optim.Adam`.
///
/// Given the same gradients, weights and moments have the bits of `torch.optim.Adam(…, fused=True)`, whatever the CPU
/// and the number of threads; with torch's default path the second moments' square roots differ in the last bit.
public class Adam: Optimizer {
  public var algorithm: String { "Adam" }

  /// The hyper-parameters of each group.
  public internal(set) final var options: [AdamOptions]
  final var extras: [GroupExtras]
  final let table: ParameterTable
  private let kernelOptions: KernelOptions<ck_adam_options>
  fileprivate final let isDecoupled: Bool

  /// - Throws: `usage` when a parameter occurs twice or a value makes no sense.
  public convenience init(
    parameters: [NamedParameter], lr: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8,
    weightDecay: Double = 0, amsgrad: Bool = false, maximize: Bool = false
  ) throws(CheckpointError) {
    let options = AdamOptions(
      lr: lr, betas: betas, eps: eps, weightDecay: weightDecay, amsgrad: amsgrad, maximize: maximize)
    try self.init(groups: [ParameterGroup(parameters)], options: options)
  }

  /// Several groups; `options` holds where a group does not say otherwise.
  public convenience init(
    groups: [ParameterGroup<AdamOptions>], options: AdamOptions = AdamOptions()
  ) throws(CheckpointError) {
    try self.init(groups, options, isDecoupled: false)
  }

  fileprivate init(
    _ groups: [ParameterGroup<AdamOptions>], _ defaults: AdamOptions, isDecoupled: Bool
  ) throws(CheckpointError) {
    table = try ParameterTable(groups.map(\.parameters))
    self.isDecoupled = isDecoupled
    options = try Self.options(of: groups, defaults)
    extras = groups.map { _ in GroupExtras() }
    kernelOptions = KernelOptions(groups: groups.count)
    for group in options.indices { options[group].decoupledWeightDecay = isDecoupled }
  }

  public final func step(scalingGradientsBy factor: Float) throws(CheckpointError) {
    try table.gather(makeSlots)
    ck_adam(table.tensors, table.count, kernelOptions.set(options.lazy.map(\.kernelOptions)), factor)
  }
}

/// Adam with weight decay that is not part of the gradient: `torch.optim.AdamW`. See `Adam`.
public final class AdamW: Adam {
  public override var algorithm: String { "AdamW" }

  /// - Throws: `usage` when a parameter occurs twice or a value makes no sense.
  public init(
    parameters: [NamedParameter], lr: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8,
    weightDecay: Double = 0.01, amsgrad: Bool = false, maximize: Bool = false
  ) throws(CheckpointError) {
    let options = AdamOptions(
      lr: lr, betas: betas, eps: eps, weightDecay: weightDecay, amsgrad: amsgrad, maximize: maximize)
    try super.init([ParameterGroup(parameters)], options, isDecoupled: true)
  }

  /// Several groups; `options` holds where a group does not say otherwise.
  public init(
    groups: [ParameterGroup<AdamOptions>], options: AdamOptions = AdamOptions(weightDecay: 0.01)
  ) throws(CheckpointError) {
    try super.init(groups, options, isDecoupled: true)
  }
}

extension Adam: TableOptimizer {}
