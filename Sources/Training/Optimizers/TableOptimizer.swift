/// The optimizers here, which differ in their hyper-parameters and kernels alone.
protocol TableOptimizer: Optimizer {
  associatedtype Options: HyperParameters
  var options: [Options] { get set }
  var table: ParameterTable { get }
}

extension TableOptimizer {
  public var parameters: [[NamedParameter]] { table.groups }

  public var learningRates: [Double] {
    get { options.map(\.lr) }
    set { for (group, rate) in zip(options.indices, newValue) { options[group].lr = rate } }
  }
}
