import Checkpoint

/// Finds out which of an optimizer's tensors is what of which variable, and notes it for the lens `KerasOptimizer`.
struct KerasSlots {
  /// What a tensor of the optimizer is: `exp_avg` of a variable; `step` and `lr` of none.
  struct Line {
    var path: [String]
    var slot: String
    var parameter: String
  }

  private(set) var lines: [Line] = []
  private(set) var warnings: [String] = []
  let model: KerasModel?

  init(_ file: KerasFile, _ model: KerasModel?) {
    self.model = model
    switch file.form {
    case .legacy: readNames(file)
    case .weights, .archive: readNumbers(file)
    }
  }

  /// The tree with what was found in an attribute of the optimizer.
  static func mark(_ file: inout KerasFile) {
    let key = file.form == .legacy ? Keras.optimizerWeights : "optimizer"
    guard let at = file.root.entries.firstIndex(where: { $0.key == .string(key) }),
      case .dict(var dict) = file.root.entries[at].value
    else { return }
    let slots = KerasSlots(file, KerasModel(file))
    file.warnings += slots.warnings
    guard !slots.lines.isEmpty else { return }
    let text = slots.lines.map { "\($0.path.joined(separator: "/"))\t\($0.slot)\t\($0.parameter)\n" }.joined()
    let told = Dict([
      Dict.Entry(.string("slots"), .string(text)), Dict.Entry(.string("options"), .dict(Dict(slots.options))),
    ])
    dict.attributes.append(Record.Field(KerasOptimizer.attribute, .dict(told)))
    file.root.entries[at].value = .dict(dict)
  }

  private mutating func add(_ path: some Collection<String>, _ slot: String, _ parameter: String = "") {
    let path = Array(path)
    // Such a name could not be told from a line's end.
    guard !(path + [parameter]).contains(where: { $0.utf8.contains(0x09) || $0.utf8.contains(0x0A) }) else { return }
    lines.append(Line(path: path, slot: slot, parameter: parameter))
  }
}

// MARK: - By number

extension KerasSlots {
  /// Keras 3: `optimizer/vars/0` is the iteration, `1` the learning rate, unless a schedule makes it; then come the
  /// variables' slots, in the order in which the model has them.
  private mutating func readNumbers(_ file: KerasFile) {
    // Mixed precision wraps the optimizer in one that scales the loss.
    let inner = file.places.contains { $0.path.starts(with: ["optimizer", "inner_optimizer", Keras.variables]) }
    let home = inner ? ["optimizer", "inner_optimizer", Keras.variables] : ["optimizer", Keras.variables]
    var own = file.places.filter { $0.path.count == home.count + 1 && $0.path.starts(with: home) }
    own.sort { KerasOrder.precedes($0.path[home.count], $1.path[home.count]) }
    guard let first = own.first, first.tensor.shape.isEmpty, !first.tensor.dtype.isFloatingPoint else { return }
    add(first.path.dropFirst(), "step")
    var rest = own.dropFirst()
    if let rate = rest.first, rate.tensor.shape.isEmpty, rate.tensor.dtype.isFloatingPoint {
      add(rate.path.dropFirst(), "lr")
      rest = rest.dropFirst()
    }
    guard !rest.isEmpty else { return }
    guard let kind = kind(file, home) else {
      warnings.append("the optimizer's class is not known here: its variables keep their numbers")
      return
    }
    let settings = model?.optimizer?.config
    let order = KerasVariables(file, model)
    var found: [(form: KerasOptimizerKind.Form, count: Int, names: [String])] = []
    for form in settings.map({ [kind.form($0)] }) ?? kind.forms {
      guard let count = form.count(rest.count), let shapes = form.shapes(rest.map(\.tensor.shape), count),
        let names = order.names(fitting: shapes)
      else { continue }
      found.append((form, count, names))
    }
    if found.count == 1, let (form, count, names) = found.first, settings != nil || form.before.isEmpty {
      for (index, place) in rest.enumerated() {
        guard let (slot, variable) = form.slot(index, count) else { continue }
        add(place.path.dropFirst(), slot, names[variable])
      }
      return
    }
    if found.count > 1 {
      warnings.append("the optimizer's variables may be slots of several kinds: they keep their numbers")
      return
    }
    warnings.append("no order of the model's variables fits the optimizer's: its variables keep their numbers")
  }

  private func kind(_ file: KerasFile, _ home: [String]) -> KerasOptimizerKind? {
    if let known = model?.optimizer.flatMap({ KerasOptimizerKind($0.className) }) { return known }
    var value = Value.dict(file.root)
    for part in home {
      guard case .dict(let dict) = value, let next = dict[part] else { return nil }
      value = next
    }
    // The optimizer's name, which is its class in small letters where nobody gave it another.
    guard case .dict(let dict) = value,
      case .string(let name)? = dict.attributes.first(where: { $0.name == "name" })?.value
    else { return nil }
    return KerasOptimizerKind(name)
  }
}

// MARK: - By name

extension KerasSlots {
  /// Keras 2: `dense/kernel/m:0`, or `m/dense/kernel:0`, often below the optimizer's name; where Keras 3 writes such a
  /// file, `adam/sequential_dense_kernel_momentum`.
  private mutating func readNames(_ file: KerasFile) {
    var variables: [String: String] = [:]
    var flat: [String: String] = [:]
    for place in file.places where place.path.first == Keras.modelWeights && place.path.count > 2 {
      let name = Self.plain(place.path.dropFirst(2).joined(separator: "/"))
      let path = place.path.joined(separator: ".")
      variables[name] = path
      flat[name.replacing("/", with: "_")] = path
    }
    for place in file.places where place.path.first == Keras.optimizerWeights {
      let parts = Self.plain(place.path.dropFirst().joined(separator: "/")).split(separator: "/").map(String.init)
      guard let last = parts.last else { continue }
      let kind = (model?.optimizer?.className ?? parts.first).flatMap { KerasOptimizerKind($0) }
      switch last {
      case "iter", "iteration", "iterations": add(place.path.dropFirst(), "step")
      case "learning_rate": add(place.path.dropFirst(), "lr")
      default:
        if let (slot, parameter) = Self.slot(parts, variables, kind) ?? Self.flatSlot(last, flat, kind) {
          add(place.path.dropFirst(), slot, parameter)
        }
      }
    }
    let slots = lines.filter { !$0.parameter.isEmpty }
    if slots.isEmpty, lines.count < file.places.filter({ $0.path.first == Keras.optimizerWeights }).count {
      warnings.append("the names of the optimizer's variables tell no slots: they keep their names")
    }
  }

  private static func plain(_ name: String) -> String { name.hasSuffix(":0") ? String(name.dropLast(2)) : name }

  private static let words = [
    "m": "exp_avg", "v": "exp_avg_sq", "vhat": "max_exp_avg_sq", "momentum": "momentum_buffer",
  ]

  private static func slot(
    _ parts: [String], _ variables: [String: String], _ kind: KerasOptimizerKind?
  ) -> (String, String)? {
    for index in parts.indices.reversed() {
      guard var slot = words[parts[index]] else { continue }
      if kind == .adamax, parts[index] == "v" { slot = "exp_inf" }
      let name = parts[..<index] + parts[(index + 1)...]
      for start in name.indices {
        if let path = variables[name[start...].joined(separator: "/")] { return (slot, path) }
      }
    }
    return nil
  }

  private static func flatSlot(
    _ name: String, _ variables: [String: String], _ kind: KerasOptimizerKind?
  ) -> (String, String)? {
    for (end, slot) in kind?.words ?? [] where name.hasSuffix("_\(end)") {
      if let path = variables[String(name.dropLast(end.count + 1))] { return (slot, path) }
    }
    return nil
  }
}

// MARK: - Hyper-parameters

extension KerasSlots {
  /// In PyTorch's words, where the model's description has them.
  var options: [Dict.Entry] {
    guard let (className, config) = model?.optimizer, KerasOptimizerKind(className) == .adam else { return [] }
    func number(_ name: String) -> Double? {
      switch config[name] {
      case .double(let number): number
      case .int(let number): Double(number)
      default: nil
      }
    }
    var options: [Dict.Entry] = []
    if let first = number("beta_1"), let second = number("beta_2") {
      options.append(Dict.Entry(.string("betas"), .sequence(.tuple, [.double(first), .double(second)])))
    }
    if let epsilon = number("epsilon") { options.append(Dict.Entry(.string("eps"), .double(epsilon))) }
    let decay = number("weight_decay") ?? 0
    options.append(Dict.Entry(.string("weight_decay"), .double(decay)))
    if case .bool(let flag)? = config["amsgrad"] { options.append(Dict.Entry(.string("amsgrad"), .bool(flag))) }
    // Keras' Adam decays weights as AdamW does, where it is told to.
    let decouples = className.lowercased() == "adamw" || decay != 0
    options.append(Dict.Entry(.string("decoupled_weight_decay"), .bool(decouples)))
    return options
  }
}
