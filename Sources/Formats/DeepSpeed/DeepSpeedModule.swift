import Checkpoint

/// The module's state dict: under ZeRO-3 with the whole parameters where the file has empty ones in their place.
struct DeepSpeedModule {
  private let module: Dict
  /// Names that are another's parameter, and that other.
  private let shared: [(name: String, source: String)]
  private let buffers: Set<Key>
  private let states: Dict
  /// What was put together.
  private var whole: [Key: Tensor] = [:]
  private var order: [Key] = []

  init(_ module: Dict, _ states: Dict) {
    (self.module, self.states) = (module, states)
    var shared: [(name: String, source: String)] = []
    if case .dict(let dict)? = states["shared_params"] {
      for entry in dict.entries {
        if case .string(let name) = entry.key, case .string(let source) = entry.value { shared.append((name, source)) }
      }
    }
    self.shared = shared
    var buffers: Set<Key> = []
    if case .sequence(_, let names)? = states["buffer_names"] {
      for name in names { if let key = Key(name) { buffers.insert(key) } }
    }
    self.buffers = buffers
  }

  /// Whether parameters are of less than full precision, so that there are master weights beside them.
  var isHalf: Bool {
    module.entries.contains { entry in
      guard !buffers.contains(entry.key), case .tensor(let tensor) = entry.value.plain else { return false }
      return tensor.dtype.isFloatingPoint && tensor.dtype.bitWidth < 32
    }
  }

  /// Weights that belong in the place of the file's empty ones.
  mutating func put(_ weights: [(name: String, tensor: Tensor)]) throws(CheckpointError) {
    for (name, tensor) in weights {
      guard whole.updateValue(tensor, forKey: .string(name)) == nil else {
        throw CheckpointError(.damaged, "the parameter is listed twice", place: "param_shapes.\(name)")
      }
      order.append(.string(name))
    }
  }

  /// Parameters that are not trained: each rank's model has a part.
  mutating func putFrozen(_ ranks: [(name: String, states: Dict)]) throws(CheckpointError) {
    guard case .dict(let shapes)? = states["frozen_param_shapes"] else { return }
    let parameters = try ZeroLayout.parameters(shapes, "frozen_param_shapes")
    for parameter in parameters {
      let share = ZeroLayout.share(parameter.count, of: ranks.count)
      var left = parameter.count
      var parts: [(vector: FlatVector, range: Range<Int>)] = []
      for (rank, states) in ranks.enumerated() {
        guard case .dict(let fragments)? = states.states["frozen_param_fragments"],
          case .tensor(let tensor)? = fragments[parameter.name]?.plain
        else {
          throw CheckpointError(
            .damaged, "rank \(rank) has no part of the parameter", place: "frozen_param_fragments.\(parameter.name)")
        }
        let vector = try FlatVector(tensor)
        let taken = min(share, left)
        guard vector.count >= taken else {
          throw CheckpointError(
            .damaged, "rank \(rank) has \(vector.count) elements; \(taken) are due",
            place: "frozen_param_fragments.\(parameter.name)", advice: ZeroLayout.copyAdvice)
        }
        parts.append((vector, 0..<taken))
        left -= taken
      }
      let dtype = parts.first?.vector.dtype ?? .float32
      try put([(parameter.name, try FlatVector.tensor(shape: parameter.shape, of: parts, dtype: dtype))])
    }
  }

  /// - Throws: `damaged` where a weight of the optimizer is none of the module's.
  func check(_ weights: [(name: String, tensor: Tensor)]) throws(CheckpointError) {
    var shapes: [Key: [Int]] = [:]
    for entry in module.entries { if case .tensor(let tensor) = entry.value.plain { shapes[entry.key] = tensor.shape } }
    var seen: Set<Key> = []
    for (name, tensor) in weights {
      guard seen.insert(.string(name)).inserted else {
        throw CheckpointError(.damaged, "the parameter is listed twice", place: "param_shapes.\(name)")
      }
      guard let shape = shapes[.string(name)] else {
        throw CheckpointError(.damaged, "the module has no such parameter", place: "param_shapes.\(name)")
      }
      guard shape == tensor.shape else {
        throw CheckpointError(
          .damaged, "shape \(tensor.shape); the module's parameter has \(shape)", place: "param_shapes.\(name)")
      }
    }
  }

  /// - Parameter isWhole: the file's parameters are whole already.
  /// - Throws: `damaged` where a parameter is nowhere.
  func finished(isWhole: Bool) throws(CheckpointError) -> Dict {
    if isWhole { return module }
    var result = module
    let sources = Dictionary(
      shared.map { (Key.string($0.name), Key.string($0.source)) }, uniquingKeysWith: { first, _ in first })
    var missing = Set(order)
    for index in result.entries.indices {
      let key = result.entries[index].key
      missing.remove(key)
      guard case .tensor(let old) = result.entries[index].value.plain, !buffers.contains(key) else { continue }
      if let tensor = whole[key] ?? sources[key].flatMap({ whole[$0] }) {
        result.entries[index].value = .tensor(tensor)
      } else if old.byteCount == 0 {
        throw CheckpointError(
          .damaged, "the parameter is in none of the ranks' files", place: "module.\(Self.text(key))",
          advice: ZeroLayout.copyAdvice)
      }
    }
    for key in order where missing.contains(key) {
      if let tensor = whole[key] { result.entries.append(Dict.Entry(key, .tensor(tensor))) }
    }
    return result
  }

  private static func text(_ key: Key) -> String { if case .string(let name) = key { name } else { "\(key)" } }

  /// Weights under the names that the module has for them, ties among them.
  func byName(_ weights: [(name: String, tensor: Tensor)]) -> Dict {
    var found: [Key: Tensor] = [:]
    for (name, tensor) in weights { found[.string(name)] = tensor }
    var result = Dict()
    for entry in module.entries {
      if let tensor = found[entry.key] { result.entries.append(Dict.Entry(entry.key, .tensor(tensor))) }
    }
    for (name, source) in shared where found[.string(name)] == nil {
      if let tensor = found[.string(source)] { result.entries.append(Dict.Entry(.string(name), .tensor(tensor))) }
    }
    return result
  }
}
