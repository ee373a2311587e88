internal import Checkpoint

/// A stored group's hyper-parameters, as numbers whatever form they have: Python's or 0-d tensors.
struct StoredOptions {
  let group: OptimizerState.Group
  let name: String

  /// - Throws: `usage` when there is a value that is no number.
  func number(_ key: String, into target: inout Double) throws(CheckpointError) {
    guard let value = group[key] else { return }
    target = try number(value, key)
  }

  /// A number or None, as in the older `initial_lr`.
  func number(_ key: String, into target: inout Double?) throws(CheckpointError) {
    guard let value = group[key] else { return }
    target = try number(value, key)
  }

  func flag(_ key: String, into target: inout Bool) throws(CheckpointError) {
    guard let value = group[key] else { return }
    switch value {
    case .bool(let flag): target = flag
    case .int(0), .none: target = false
    case .int(1): target = true
    default: throw wrong(key, "no truth value")
    }
  }

  func pair(_ key: String, into target: inout (Double, Double)) throws(CheckpointError) {
    guard let value = group[key] else { return }
    guard case .sequence(_, let items) = value, items.count == 2 else { throw wrong(key, "no pair of numbers") }
    target = (try number(items[0], key), try number(items[1], key))
  }

  private func number(_ value: Value, _ key: String) throws(CheckpointError) -> Double {
    switch value {
    case .double(let number): return number
    case .int(let number): return Double(number)
    case .tensor(let tensor) where tensor.count == 1:
      switch tensor.dtype {
      case .float32: if let number = try tensor.elements(as: Float.self).first { return Double(number) }
      case .float64: if let number = try tensor.elements(as: Double.self).first { return number }
      default: break
      }
      throw wrong(key, "a tensor of \(tensor.dtype.rawValue)")
    default: throw wrong(key, "no number")
    }
  }

  private func wrong(_ key: String, _ what: String) -> CheckpointError {
    CheckpointError(.usage, "'\(key)' of \(name) of the stored optimizer is \(what)")
  }
}
