/// Parameters with hyper-parameters of their own: an entry of `param_groups`.
///
///     AdamW(groups: [ParameterGroup(matrices), ParameterGroup(biases) { $0.weightDecay = 0 }])
public struct ParameterGroup<Options> {
  public let parameters: [NamedParameter]
  let change: (inout Options) -> Void

  /// - Parameter change: what differs from the optimizer's hyper-parameters.
  public init(_ parameters: [NamedParameter], _ change: @escaping (inout Options) -> Void = { _ in }) {
    self.parameters = parameters
    self.change = change
  }
}
