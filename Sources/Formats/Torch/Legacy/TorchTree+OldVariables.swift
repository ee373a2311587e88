import Checkpoint

// How `Variable` and `Parameter` were pickled until PyTorch 0.4.
extension TorchTree {
  /// `Variable(data)` or `Parameter(data, requires_grad)`, and the state (requires_grad, volatile, hooks) or, older,
  /// (data, grad, hooks, requires_grad, volatile). Nil where it is something else.
  mutating func oldVariable(_ kind: Tensor.Kind, _ object: PickleObject) throws(CheckpointError) -> Value? {
    guard object.items.isEmpty, object.pairs.isEmpty else { return nil }
    let arguments = try arguments(object.arguments, of: "a variable's arguments")
    var data = arguments.nodes.first
    var requiresGrad = kind == .parameter
    if arguments.count > 1, case .bool(let flag) = pickle.nodes[Int(arguments[1])] { requiresGrad = flag }
    if let state = object.states.last {
      guard case .tuple(let run) = pickle.nodes[Int(state)], run.count == 3 || run.count == 5 else { return nil }
      let parts = pickle.pool[run.range]
      if run.count == 5 { data = parts[parts.startIndex] }
      requiresGrad = try bool(parts[parts.startIndex + (run.count == 5 ? 3 : 0)], "requires_grad")
    }
    guard let data, case .tensor(var tensor) = try value(data) else { return nil }
    tensor.kind = kind
    tensor.requiresGrad = requiresGrad
    return .tensor(tensor)
  }
}
