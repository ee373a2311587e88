import Checkpoint
import CommandSupport

/// The optimizer's hyper-parameters that `--set` names: on resume they win over the stored ones.
enum HyperparameterChanges {
  /// - Parameter config: the optimizer with the changes made.
  static func entries(_ sets: [String], _ config: OptimizerConfig) -> [Dict.Entry] {
    let all = entries(config)
    var changed: [Dict.Entry] = []
    for set in sets {
      let keys = Overrides.key(of: set).split(separator: ".").map(String.init)
      guard keys.first == "optimizer" else { continue }
      // `optimizer.adamw=…` and `optimizer=…` name all of them.
      let named = keys.count > 2 ? all.filter { $0.key == .string(keys[2]) } : all
      for entry in named where !changed.contains(where: { $0.key == entry.key }) { changed.append(entry) }
    }
    return changed
  }

  private static func entries(_ config: OptimizerConfig) -> [Dict.Entry] {
    var pairs: [(String, Value)] = [
      ("lr", .double(config.lr)), ("weight_decay", .double(config.weightDecay)), ("maximize", .bool(config.maximize)),
    ]
    switch config.kind {
    case .adam(let betas, let eps, let amsgrad), .adamw(let betas, let eps, let amsgrad):
      pairs += [
        ("betas", .sequence(.tuple, [.double(betas.first), .double(betas.second)])), ("eps", .double(eps)),
        ("amsgrad", .bool(amsgrad)),
      ]
    case .sgd(let momentum, let dampening, let nesterov):
      pairs += [("momentum", .double(momentum)), ("dampening", .double(dampening)), ("nesterov", .bool(nesterov))]
    case .rmsprop(let alpha, let eps, let momentum, let centered):
      pairs += [
        ("alpha", .double(alpha)), ("eps", .double(eps)), ("momentum", .double(momentum)),
        ("centered", .bool(centered)),
      ]
    case .adagrad(let lrDecay, _, let eps): pairs += [("lr_decay", .double(lrDecay)), ("eps", .double(eps))]
    }
    return pairs.map { Dict.Entry(.string($0.0), $0.1) }
  }
}
