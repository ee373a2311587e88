import Checkpoint

/// A PyTorch checkpoint as Keras 3 has weights: a state dict's modules as `layers/dense/vars/0`, …, and the moments of
/// Adam as `optimizer/vars/0`, ….
struct TorchToKeras {
  private(set) var warnings: [String] = []
  private let model: StateDict
  /// Slots by the name of a parameter.
  private var slots: [Key: Dict] = [:]
  private var optimizer: OptimizerState?
  private var step: Int64 = 0

  /// - Throws: `usage` where there is not one state dict with layers that Keras has too.
  static func convert(_ root: Value) throws(CheckpointError) -> (tree: Dict, warnings: [String]) {
    var work = try TorchToKeras(root)
    let tree = try work.run()
    return (tree, work.warnings)
  }

  private init(_ root: Value) throws(CheckpointError) {
    let sections = Recogniser.sections(in: root)
    let models = sections.filter { $0.kind == .stateDict }
    let chosen = models.count == 1 ? models.first : models.first { $0.text == "model" || $0.text == "state_dict" }
    guard let chosen, let value = root[chosen.path], let dict = StateDict(value) else {
      throw CheckpointError(
        .usage, models.isEmpty ? "there is no state dict to make Keras' layers of" : "there are \(models.count) models",
        advice: "Choose one with --key.")
    }
    model = dict
    let optimizers = sections.filter { $0.kind == .optimizer }
    warnLeft(root, Set([chosen.path] + optimizers.map(\.path)), models.map(\.text).filter { $0 != chosen.text })
    if optimizers.count == 1, let first = optimizers.first {
      try readOptimizer(root, first, ParameterNames.resolve(in: root, sections: sections).first, chosen)
    } else if optimizers.count > 1 {
      warnings.append("left out: \(optimizers.count) optimizers, of which Keras' weights hold one")
    }
  }

  private mutating func warnLeft(_ root: Value, _ kept: Set<TreePath>, _ models: [String]) {
    guard case .dict(let dict) = root, !kept.contains(TreePath()) else { return }
    var names: [String] = []
    for entry in dict.entries where !kept.contains(where: { $0.steps.first == .key(entry.key) }) {
      names.append(entry.key.text)
    }
    names += dict.attributes.map { "@\($0.name)" }
    names += models.filter { !names.contains($0) }
    if !names.isEmpty { warnings.append("left out, for .weights.h5 holds variables alone: \(listed(names))") }
  }

  // MARK: - The optimizer

  private mutating func readOptimizer(
    _ root: Value, _ section: Section, _ names: ParameterNames?, _ model: Section
  ) throws(CheckpointError) {
    guard let state = root[section.path].flatMap({ OptimizerState($0) }), let names else { return }
    let moments = state.slotNames.contains("exp_avg") && state.slotNames.contains("exp_avg_sq")
    guard moments else {
      if !state.slotNames.isEmpty {
        warnings.append("\(section.text): left out: only the state of Adam has a form in Keras")
      }
      return
    }
    for (key, name) in zip(state.keys, names.names) { slots[.string(name)] = state.slots(of: key) }
    warnings += names.warnings.map { "\(section.text): \($0)" }
    optimizer = state
    step = try state.step() ?? 0
  }

  /// The tensors of the optimizer in Keras' order.
  private mutating func state(
    _ layers: [KerasTarget], _ tensors: [Key: Tensor]
  ) throws(CheckpointError) -> Dict? {
    guard let optimizer else { return nil }
    let variables = layers.flatMap(\.variables).filter(\.isTrainable)
    let hasMaximum = optimizer.slotNames.contains("max_exp_avg_sq")
    var pairs: [Tensor] = []
    var maxima: [Tensor] = []
    var without: [String] = []
    for variable in variables {
      let known = variable.names.allSatisfy { slots[.string($0)]?["exp_avg"] != nil }
      if !known { without.append(variable.names[0]) }
      for slot in ["exp_avg", "exp_avg_sq"] + (hasMaximum ? ["max_exp_avg_sq"] : []) {
        let moment = try known ? moment(slot, of: variable) : variable.change(zeros(variable, tensors))
        if slot == "max_exp_avg_sq" { maxima.append(moment) } else { pairs.append(moment) }
      }
    }
    if !without.isEmpty {
      warnings.append("the optimizer has no state for \(listed(without)): zeros are written, as Keras needs all")
    }
    let group = optimizer.groups.first
    let rate = group?["lr"].flatMap(number) ?? 0.001
    warnOptions(optimizer)
    let count =
      step <= Int64(Int32.max)
      ? try Tensor(dtype: .int32, shape: [], source: BufferSource(elements: [Int32(step)]))
      : try Tensor(dtype: .int64, shape: [], source: BufferSource(elements: [step]))
    let scalars = [count, try Tensor(dtype: .float32, shape: [], source: BufferSource(elements: [Float(rate)]))]
    return Dict.variables(scalars + pairs + maxima, name: decouples(group) ? "adam_w" : "adam")
  }

  private func moment(_ slot: String, of variable: KerasVariable) throws(CheckpointError) -> Tensor {
    var tensors: [Tensor] = []
    for name in variable.names {
      guard case .tensor(let tensor)? = slots[.string(name)]?[slot] else {
        throw CheckpointError(.unsupported, "has no '\(slot)', or one that is no tensor", place: name)
      }
      tensors.append(tensor)
    }
    return try variable.moment(tensors)
  }

  private func zeros(_ variable: KerasVariable, _ tensors: [Key: Tensor]) throws(CheckpointError) -> [Tensor] {
    var zeros: [Tensor] = []
    for name in variable.names { if let tensor = tensors[.string(name)] { zeros.append(try tensor.zeros()) } }
    return zeros
  }

  private mutating func warnOptions(_ state: OptimizerState) {
    guard let group = state.groups.first else { return }
    var words = ["learning_rate=\(group["lr"].flatMap(number) ?? 0.001)"]
    if case .sequence(_, let betas)? = group["betas"], betas.count == 2, let a = number(betas[0]),
      let b = number(betas[1])
    {
      words += ["beta_1=\(a)", "beta_2=\(b)"]
    }
    if let eps = group["eps"].flatMap(number) { words.append("epsilon=\(eps)") }
    if let decay = group["weight_decay"].flatMap(number), decay != 0 { words.append("weight_decay=\(decay)") }
    let name = decouples(group) ? "AdamW" : "Adam"
    warnings.append(
      "Keras' weights hold no settings of an optimizer: compile with \(name)(\(words.joined(separator: ", "))); Keras "
        + "adds epsilon to sqrt(v), PyTorch to sqrt(v / (1 - beta2^step)), so early steps differ a little")
    if state.groups.count > 1 {
      warnings.append("the optimizer has \(state.groups.count) groups: Keras has one, with the options of the first")
    }
  }

  private func decouples(_ group: OptimizerState.Group?) -> Bool {
    if case .bool(true)? = group?["decoupled_weight_decay"] { true } else { false }
  }

  private func number(_ value: Value) -> Double? {
    switch value {
    case .double(let number): number
    case .int(let number): Double(number)
    case .tensor(let tensor):
      tensor.dtype == .float32 && tensor.count == 1
        ? (try? tensor.elements(as: Float.self))?.first.map(Double.init) : nil
    default: nil
    }
  }

  // MARK: - The whole

  private mutating func run() throws(CheckpointError) -> Dict {
    let modules = TorchModules(model)
    guard !modules.targets.isEmpty else {
      throw CheckpointError(.usage, "no module of the state dict is a layer of Keras that is known here")
    }
    var tensors: [Key: Tensor] = [:]
    for entry in model.entries { if let tensor = entry.tensor { tensors[.string(entry.name)] = tensor } }
    if !modules.left.isEmpty {
      warnings.append("left out, for Keras' layer is not known: \(listed(modules.left))")
    }
    var layers = Dict()
    var used: [String: Int] = [:]
    var path: [String] = []
    for target in modules.targets {
      if !target.stem.isEmpty {
        let count = used[target.stem, default: 0]
        used[target.stem] = count + 1
        path = [count == 0 ? target.stem : "\(target.stem)_\(count)"]
      }
      var values: [Tensor] = []
      for variable in target.variables {
        do throws(CheckpointError) {
          values.append(try variable.change(variable.names.compactMap { tensors[.string($0)] }))
        } catch {
          throw error.at(variable.names[0])
        }
      }
      layers.put(.dict(Dict.variables(values, name: path[0])), at: path + target.inner + [Keras.variables])
    }
    warnDimensions(modules.targets)
    var root = Dict([Dict.Entry(.string("layers"), .dict(layers))])
    if let state = try state(modules.targets, tensors) {
      root.entries.append(
        Dict.Entry(.string("optimizer"), .dict(Dict([Dict.Entry(.string(Keras.variables), .dict(state))]))))
    }
    return root
  }

  private mutating func warnDimensions(_ targets: [KerasTarget]) {
    let stems = targets.map(\.stem)
    if stems.contains(where: { $0.contains("conv") }), stems.contains("dense") {
      warnings.append(
        "Keras flattens height, width, channels, PyTorch channels, height, width: a dense layer after that needs its "
          + "inputs in the other order")
    }
    if stems.contains(where: { $0.hasPrefix("depthwise") || $0.hasPrefix("separable") }) {
      warnings.append("depthwise kernels are written with depth_multiplier=1, as their shapes do not tell it")
    }
  }
}

extension Dict {
  /// A group `vars`.
  fileprivate static func variables(_ tensors: [Tensor], name: String) -> Dict {
    Dict(
      tensors.enumerated().map { Dict.Entry(.string(String($0)), .tensor($1)) },
      attributes: [Record.Field("name", .string(name))])
  }

  fileprivate mutating func put(_ value: Value, at path: [String]) {
    guard let first = path.first else { return }
    let key = Key.string(first)
    let index = entries.firstIndex { $0.key == key }
    guard path.count > 1 else {
      if index == nil { entries.append(Dict.Entry(key, value)) }
      return
    }
    var below = Dict()
    if let index, case .dict(let known) = entries[index].value { below = known }
    below.put(value, at: Array(path.dropFirst()))
    if let index { entries[index].value = .dict(below) } else { entries.append(Dict.Entry(key, .dict(below))) }
  }
}
