extension Rewriter {
  /// Thins out an optimizer as Keras keeps it: each of its tensors goes or stays with its parameter, and the step and the
  /// learning rate with the last of them.
  mutating func kerasOptimizer(_ value: Value, _ text: String) throws(CheckpointError) -> Value? {
    guard case .dict(let dict) = value, let lens = KerasOptimizer(value) else { return value }
    var kept = 0
    let result = try thinned(dict, lens, text, &kept)
    return kept == 0 && !filter.isEmpty ? nil : .dict(result)
  }

  private mutating func thinned(
    _ dict: Dict, _ lens: KerasOptimizer, _ text: String, _ kept: inout Int
  ) throws(CheckpointError) -> Dict {
    var result = dict
    result.entries = []
    for entry in dict.entries {
      let below = joined(text, .key(entry.key))
      switch entry.value {
      case .dict(let inner):
        if filter.excludes(below) { continue }
        result.entries.append(Dict.Entry(entry.key, .dict(try thinned(inner, lens, below, &kept))))
      case .tensor(let tensor):
        guard let slot = lens.slot(of: tensor) else {
          if !filter.excludes(below) { result.entries.append(entry) }
          continue
        }
        if filter.excludes(below, slot.parameter) || !filter.includes(below, slot.parameter) { continue }
        kept += 1
        result.entries.append(Dict.Entry(entry.key, .tensor(try plan.cast(tensor))))
      default: result.entries.append(entry)
      }
    }
    return result
  }
}
