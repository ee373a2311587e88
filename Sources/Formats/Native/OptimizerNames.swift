import Checkpoint

/// What the lenses know of a tree's optimizers, by path.
struct OptimizerNames {
  private struct Known {
    var names: ParameterNames
    var algorithm: String?
  }

  private var optimizers: [TreePath: Known] = [:]

  init(_ root: Value) {
    for (path, names) in ParameterNames.resolve(in: root) {
      // Those of Keras are stored as the dicts that they are.
      guard let state = root[path].flatMap({ OptimizerState($0) }) else { continue }
      optimizers[path] = Known(names: names, algorithm: state.algorithm.name)
    }
  }

  func isOptimizer(_ path: TreePath) -> Bool { optimizers[path] != nil }

  /// One name for each position over the concatenated groups.
  func of(_ path: TreePath) -> [String] { optimizers[path]?.names.names ?? [] }

  /// The algorithm as far as the state tells it.
  func algorithm(_ path: TreePath) -> String? { optimizers[path]?.algorithm }

  func warnings(_ path: TreePath) -> [String] {
    (optimizers[path]?.names.warnings ?? []).map { path.steps.isEmpty ? $0 : "\(path.text): \($0)" }
  }
}
