import Checkpoint

/// A Keras file as PyTorch has a checkpoint: `model`, a state dict, and `optimizer`, with the moments of Adam.
struct KerasToTorch {
  private let file: KerasFile
  private let description: KerasModel?
  private let slots: KerasSlots
  /// The optimizer's, by their paths in it.
  private let tensors: [[String]: Tensor]
  private(set) var warnings: [String] = []
  private var model: [Dict.Entry] = []
  /// The parameters in the model's order, each with its tensors in the optimizer.
  private var parameters: [[Dict.Entry]] = []
  /// What the optimizer keeps, by the path of a variable.
  private var moments: [String: [(slot: String, tensor: Tensor)]] = [:]
  private var used: Set<String> = []

  /// - Throws: `usage` where no layer is known.
  static func convert(_ file: KerasFile) throws(CheckpointError) -> Checkpoint {
    var work = KerasToTorch(file)
    return try work.run()
  }

  private init(_ file: KerasFile) {
    self.file = file
    description = KerasModel(file)
    slots = KerasSlots(file, description)
    let home = file.form == .legacy ? Keras.optimizerWeights : "optimizer"
    let own = file.places.filter { $0.path.first == home }.map { (Array($0.path.dropFirst()), $0.tensor) }
    tensors = Dictionary(own, uniquingKeysWith: { first, _ in first })
  }

  private mutating func run() throws(CheckpointError) -> Checkpoint {
    let layers = KerasLayers(file, description)
    guard !layers.layers.isEmpty else {
      throw CheckpointError(
        .usage, "no layer is known here that PyTorch has too",
        advice: "Without --layout torch the variables are kept as Keras has them.")
    }
    let converts = readMoments()
    var left = layers.rest
    for layer in layers.layers {
      do throws(CheckpointError) {
        try add(layer, converts)
      } catch {
        // A kernel of an odd shape, a GRU without reset_after.
        warnings.append("\(layer.name) stays as it is: \(error.message)")
        left += layer.variables.map(\.place)
      }
    }
    return try checkpoint(left, converts)
  }

  private mutating func add(_ layer: KerasLayer, _ converts: Bool) throws(CheckpointError) {
    var entries: [Dict.Entry] = []
    var states: [[Dict.Entry]] = []
    for (role, place) in layer.variables {
      let path = place.path.joined(separator: ".")
      let kept = converts ? moments[path] ?? [] : []
      for form in try KerasForm.torch(layer.kind, role) {
        let name = "\(layer.name).\(form.name)\(layer.suffix)"
        entries.append(Dict.Entry(.string(name), .tensor(try form.change(place.tensor))))
        guard form.isParameter else { continue }
        var state: [Dict.Entry] = []
        for moment in kept { state.append(Dict.Entry(.string(moment.slot), .tensor(try form.moment(moment.tensor)))) }
        states.append(state)
      }
    }
    // PyTorch's order: both weights, then both biases.
    model += entries
    parameters += states
    for (_, place) in layer.variables { used.insert(place.path.joined(separator: ".")) }
    if layer.kind.isRecurrent, layer.kind != .gru, layer.variables.count == 3 { halvesBias = true }
  }

  private var halvesBias = false

  // MARK: - The optimizer

  /// Whether its state has a form in PyTorch, which is Adam's.
  private mutating func readMoments() -> Bool {
    for line in slots.lines where !line.parameter.isEmpty {
      guard let tensor = tensors[line.path] else { continue }
      moments[line.parameter, default: []].append((line.slot, tensor))
    }
    let known: Set<String> = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    let isAdam =
      !moments.isEmpty && moments.values.allSatisfy { $0.allSatisfy { known.contains($0.slot) } && $0.count > 1 }
    if isAdam, let name = description?.optimizer?.className { return KerasOptimizerKind(name) == .adam }
    return isAdam
  }

  private func number(_ slot: String) throws(CheckpointError) -> Double? {
    guard let line = slots.lines.first(where: { $0.slot == slot && $0.parameter.isEmpty }),
      let tensor = tensors[line.path], tensor.count == 1
    else { return nil }
    switch tensor.dtype {
    case .float32: return try tensor.elements(as: Float.self).first.map(Double.init)
    case .bfloat16:
      return try tensor.elements(as: UInt16.self).first.map { Double(Float(bitPattern: UInt32($0) << 16)) }
    default: return try Value.tensor(tensor).asWholeNumber().map(Double.init)
    }
  }

  private mutating func optimizer() throws(CheckpointError) -> Value {
    let step = try number("step") ?? 0
    var state: [Dict.Entry] = []
    for (id, slots) in parameters.enumerated() where !slots.isEmpty {
      let count = try Tensor(dtype: .float32, shape: [], source: BufferSource(elements: [Float(step)]))
      state.append(Dict.Entry(.int(Int64(id)), .dict(Dict([Dict.Entry(.string("step"), .tensor(count))] + slots))))
    }
    let group = try self.group(step)
    return .dict(
      Dict([
        Dict.Entry(.string("state"), .dict(Dict(state))),
        Dict.Entry(.string("param_groups"), .sequence(.list, [.dict(group)])),
      ]))
  }

  private mutating func group(_ step: Double) throws(CheckpointError) -> Dict {
    let known = Dict(slots.options)
    let hasMaximum = moments.values.contains { $0.contains { $0.slot == "max_exp_avg_sq" } }
    let rate = try number("lr") ?? description?.optimizer?.config["learning_rate"].flatMap(Self.double)
    if rate == nil { warnings.append("the learning rate is not in the file: 0.001 is written, Keras' default") }
    if known["betas"] == nil || known["eps"] == nil {
      warnings.append("betas and epsilon are not in the file: Keras' defaults 0.9, 0.999 and 1e-07 are written")
    }
    var betas = known["betas"] ?? .sequence(.tuple, [.double(0.9), .double(0.999)])
    if case .sequence(_, let items) = betas, items.count != 2 {
      betas = .sequence(.tuple, [.double(0.9), .double(0.999)])
    }
    let eps = known["eps"].flatMap(Self.double) ?? 1e-7
    warnEpsilon(eps, betas, step)
    let options: [(String, Value)] = [
      ("lr", .double(rate ?? 0.001)), ("betas", betas), ("eps", .double(eps)),
      ("weight_decay", known["weight_decay"] ?? .double(0)), ("amsgrad", .bool(hasMaximum)), ("maximize", .bool(false)),
      ("foreach", .none), ("capturable", .bool(false)), ("differentiable", .bool(false)), ("fused", .none),
      ("decoupled_weight_decay", known["decoupled_weight_decay"] ?? .bool(false)),
      ("params", .sequence(.list, parameters.indices.map { .int(Int64($0)) })),
    ]
    return Dict(options.map { Dict.Entry(.string($0.0), $0.1) })
  }

  private mutating func warnEpsilon(_ eps: Double, _ betas: Value, _ step: Double) {
    var text =
      "epsilon is not PyTorch's: Keras adds \(eps) to sqrt(v), PyTorch adds eps to sqrt(v / (1 - beta2^step)), so Keras' "
      + "equals an eps of \(eps) / sqrt(1 - beta2^step)"
    if case .sequence(_, let items) = betas, let second = items.last.flatMap(Self.double), step > 0 {
      var power = 1.0
      var base = second
      var rest = Int(step)
      while rest > 0 {
        if rest & 1 == 1 { power *= base }
        base *= base
        rest >>= 1
      }
      text += ", which at step \(Int(step)) is \((eps / (1 - power).squareRoot()))"
    }
    warnings.append(text)
  }

  private static func double(_ value: Value) -> Double? {
    switch value {
    case .double(let number): number
    case .int(let number): Double(number)
    default: nil
    }
  }

  // MARK: - The whole

  private mutating func checkpoint(
    _ left: [KerasReader.Place], _ converts: Bool
  ) throws(CheckpointError) -> Checkpoint {
    var entries = [Dict.Entry(.string("model"), .dict(Dict(model, kind: .ordered)))]
    if converts { entries.append(Dict.Entry(.string("optimizer"), try optimizer())) }
    let rest = remainder(left, converts)
    if !rest.entries.isEmpty { entries.append(Dict.Entry(.string("keras"), .dict(rest))) }
    let names = left.map { $0.path.joined(separator: ".") }
    if !names.isEmpty {
      warnings.append("stay as they are, under 'keras', for PyTorch's layer is not known: \(listed(names))")
    }
    if halvesBias {
      warnings.append(
        "PyTorch's recurrent layers have two biases: bias_ih has Keras' one, bias_hh is zero; trained on, both move")
    }
    if description?.layers.contains(where: { $0.className == "Flatten" }) == true,
      model.contains(where: { if case .tensor(let tensor) = $0.value { tensor.shape.count > 2 } else { false } })
    {
      warnings.append(
        "Keras flattens height, width, channels, in that order: a PyTorch module has to permute before it flattens")
    }
    // What the file says of itself; what it is as a file of Keras no longer holds.
    let attributes = file.root.attributes.filter { $0.name != Keras.marker }
    return Checkpoint(root: .dict(Dict(entries, attributes: attributes)), warnings: file.warnings + warnings)
  }

  /// The variables that were not converted, where they were; the optimizer too, where it is not Adam or of no layer
  /// that was.
  private mutating func remainder(_ left: [KerasReader.Place], _ converts: Bool) -> Dict {
    var kept = Set(left.map(\.path))
    let isOptimizer = { (path: [String]) in path.first == "optimizer" || path.first == Keras.optimizerWeights }
    let orphans = moments.keys.filter { !used.contains($0) }
    if !converts || !orphans.isEmpty {
      let places = file.places.filter { isOptimizer($0.path) }
      kept.formUnion(places.map(\.path))
      if !converts, !places.isEmpty {
        warnings.append("the optimizer stays as it is, under 'keras': only the state of Adam has a form in PyTorch")
      }
    }
    return file.root.keeping(kept, [])
  }
}

extension Dict {
  /// The dict with the tensors at some paths alone.
  fileprivate func keeping(_ paths: Set<[String]>, _ path: [String]) -> Dict {
    var result = Dict([], kind: kind)
    for entry in entries {
      let below = path + [entry.key.text]
      switch entry.value {
      case .dict(let dict):
        let inner = dict.keeping(paths, below)
        if inner.count > 0 { result.entries.append(Dict.Entry(entry.key, .dict(inner))) }
      default: if paths.contains(below) { result.entries.append(entry) }
      }
    }
    return result
  }
}
