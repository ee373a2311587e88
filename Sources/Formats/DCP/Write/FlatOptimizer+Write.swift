import Checkpoint

extension FlatOptimizer {
  /// What `flatten_optimizer_state_dict=True` makes of an optimizer, in PyTorch's order: `state.<parameter>.<slot>`, then
  /// `param_groups.<parameter>.<option>`. Nil where a parameter has no name, or the optimizer keeps more than that.
  static func entries(of optimizer: OptimizerState) -> [Dict.Entry]? {
    var entries: [Dict.Entry] = []
    guard optimizer.dict.count == 2 else { return nil }
    for parameter in optimizer.state.entries {
      guard case .string(let name) = parameter.key, case .dict(let slots) = parameter.value else { return nil }
      for slot in slots.entries { entries.append(Dict.Entry(.string("state.\(name).\(slot.key.text)"), slot.value)) }
    }
    for group in optimizer.groups {
      for key in group.params {
        guard case .string(let name) = key else { return nil }
        for option in group.dict.entries where option.key != .string("params") {
          entries.append(Dict.Entry(.string("param_groups.\(name).\(option.key.text)"), option.value))
        }
      }
    }
    return entries
  }
}
