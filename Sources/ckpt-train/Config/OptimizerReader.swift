import Checkpoint

/// Reads `optimizer:`. Names and defaults are torch.optim's.
enum OptimizerReader {
  static let names = ["adam", "adamw", "sgd", "rmsprop", "adagrad"]

  static func read(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) -> OptimizerConfig? {
    guard let (entry, path) = ConfigChoice.one(of: names, "optimizer", node, path, problems),
      var fields = ConfigFields(entry.value, path, problems)
    else { return nil }
    let name = entry.key
    let lr = fields.number("lr", .positive) ?? (name == "rmsprop" || name == "adagrad" ? 1e-2 : 1e-3)
    let weightDecay = fields.number("weight_decay", .notNegative) ?? (name == "adamw" ? 1e-2 : 0)
    let maximize = fields.bool("maximize") ?? false
    let noDecay = fields.texts("no_decay", "a list of patterns, as ['*.bias']") ?? []
    let kind = kind(name, &fields)
    fields.end()
    return OptimizerConfig(
      kind: kind, name: name, lr: lr, weightDecay: weightDecay, maximize: maximize, noDecay: noDecay,
      place: entry.place, path: path)
  }

  private static func kind(_ name: String, _ fields: inout ConfigFields) -> OptimizerConfig.Kind {
    switch name {
    case "sgd":
      let momentum = fields.number("momentum", .notNegative) ?? 0
      let dampening = fields.number("dampening", .finite) ?? 0
      let nesterov = fields.bool("nesterov") ?? false
      if nesterov, momentum <= 0 || dampening != 0 {
        fields.problems.add(
          fields.place, fields.path, "expected a momentum above 0 and no dampening, as nesterov needs them")
      }
      return .sgd(momentum: momentum, dampening: dampening, nesterov: nesterov)
    case "rmsprop":
      return .rmsprop(
        alpha: fields.number("alpha", .notNegative) ?? 0.99, eps: fields.number("eps", .notNegative) ?? 1e-8,
        momentum: fields.number("momentum", .notNegative) ?? 0, centered: fields.bool("centered") ?? false)
    case "adagrad":
      return .adagrad(
        lrDecay: fields.number("lr_decay", .notNegative) ?? 0,
        initialAccumulatorValue: fields.number("initial_accumulator_value", .notNegative) ?? 0,
        eps: fields.number("eps", .notNegative) ?? 1e-10)
    default:
      let betas = betas(&fields)
      let eps = fields.number("eps", .notNegative) ?? 1e-8
      let amsgrad = fields.bool("amsgrad") ?? false
      return name == "adam"
        ? .adam(betas: betas, eps: eps, amsgrad: amsgrad) : .adamw(betas: betas, eps: eps, amsgrad: amsgrad)
    }
  }

  private static func betas(_ fields: inout ConfigFields) -> OptimizerConfig.Betas {
    guard let node = fields.node("betas") else { return OptimizerConfig.Betas() }
    let path = fields.path("betas")
    guard case .list(let items) = node.content, items.count == 2 else {
      fields.problems.add(node, path, expected: "two numbers, as [0.9, 0.999]")
      return OptimizerConfig.Betas()
    }
    let numbers = items.enumerated().map {
      fields.number($0.element, ConfigPath.join(path, "\($0.offset)"), .belowOne)
    }
    return OptimizerConfig.Betas(first: numbers[0] ?? 0.9, second: numbers[1] ?? 0.999)
  }
}

/// A map with one key that says which kind of thing follows: `adamw: {…}`, `cosine: {…}`.
enum ConfigChoice {
  static func one(
    of names: [String], _ what: String, _ node: ConfigNode, _ path: String, _ problems: ConfigProblems
  ) -> (ConfigNode.Entry, path: String)? {
    let entry: ConfigNode.Entry
    switch node.content {
    case .scalar(.string(let name)):
      // `loss: mse` is `loss: {mse: {}}`.
      let empty = ConfigNode(content: .scalar(.none), place: node.place)
      entry = ConfigNode.Entry(key: name, place: node.place, value: empty)
    case .map(let entries) where entries.count == 1: entry = entries[0]
    case .map(let entries) where entries.count > 1:
      let found = entries.map { "'\($0.key)'" }.joined(separator: ", ")
      problems.add(entries[1].place, path, "expected one of \(ConfigFields.alternatives(names)), found \(found)")
      return nil
    default:
      problems.add(node, path, expected: "one of \(ConfigFields.alternatives(names))")
      return nil
    }
    guard names.contains(entry.key) else {
      problems.add(
        entry.place, path, "there is no \(what) '\(entry.key)'" + Suggestion.hint(for: entry.key, in: names))
      return nil
    }
    return (entry, ConfigPath.join(path, entry.key))
  }
}
