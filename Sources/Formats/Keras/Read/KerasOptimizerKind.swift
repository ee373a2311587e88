import Checkpoint

/// Which slots an optimizer of Keras 3 keeps, and in which order.
enum KerasOptimizerKind: Equatable {
  /// Adam, AdamW, LAMB.
  case adam
  case sgd, lion, adamax, rmsprop, adagrad, adadelta

  /// From the class, or the name that an optimizer has of itself: `Adam`, `adam`, `adam_1`.
  init?(_ name: String) {
    var word = name.lowercased()
    if let line = word.lastIndex(of: "_"), Int(word[word.index(after: line)...]) != nil { word = String(word[..<line]) }
    switch word {
    case "adam", "adamw", "adam_w", "lamb": self = .adam
    case "sgd": self = .sgd
    case "lion": self = .lion
    case "adamax": self = .adamax
    case "rmsprop", "rms_prop", "rm_sprop": self = .rmsprop
    case "adagrad": self = .adagrad
    case "adadelta": self = .adadelta
    default: return nil
    }
  }

  /// An order of slots: `before` for all variables, then for each variable in turn `each`, then `after` for all.
  struct Form {
    var before: [String] = []
    var each: [String]
    var after: [String] = []

    /// How many variables `slots` are for.
    func count(_ slots: Int) -> Int? {
      let perVariable = before.count + each.count + after.count
      return perVariable > 0 && slots % perVariable == 0 ? slots / perVariable : nil
    }

    /// The variables' shapes, which all their slots have; nil where they differ.
    func shapes(_ slots: [[Int]], _ count: Int) -> [[Int]]? {
      var shapes: [[Int]?] = Array(repeating: nil, count: count)
      for (index, shape) in slots.enumerated() {
        guard let (_, variable) = slot(index, count), shapes[variable] ?? shape == shape else { return nil }
        shapes[variable] = shape
      }
      return shapes.compactMap { $0 }
    }

    /// What stands at a place, and of which variable.
    func slot(_ index: Int, _ count: Int) -> (String, Int)? {
      guard index >= before.count * count else { return (before[index / count], index % count) }
      let place = index - before.count * count
      if place < each.count * count { return (each[place % each.count], place / each.count) }
      let rest = place - each.count * count
      return rest < after.count * count ? (after[rest / count], rest % count) : nil
    }
  }

  /// The order that it has by its settings, `config` in the model's description.
  func form(_ config: Dict) -> Form {
    func isSet(_ name: String) -> Bool {
      switch config[name] {
      case nil, .none?, .bool(false)?, .int(0)?, .double(0)?: false
      default: true
      }
    }
    var form = Form(each: each)
    if isSet("use_ema") { form.before.append("average") }
    if isSet("gradient_accumulation_steps") { form.before.append("gradient_accumulator") }
    switch self {
    case .adam: if isSet("amsgrad") { form.after = ["max_exp_avg_sq"] }
    case .sgd: if !isSet("momentum") { form.each = [] }
    case .rmsprop:
      if isSet("momentum") { form.after.append("momentum_buffer") }
      if isSet("centered") { form.after.append("grad_avg") }
    default: break
    }
    return form
  }

  /// The orders that it may have where its settings are not known: if only one fits, and it is not that of averages or
  /// sums of gradients, of which the number does not tell which they are.
  var forms: [Form] {
    var forms = [Form(each: each)]
    switch self {
    case .adam:
      forms += [Form(each: each, after: ["max_exp_avg_sq"]), Form(before: ["average"], each: each)]
    case .rmsprop:
      forms += [["momentum_buffer"], ["grad_avg"], ["momentum_buffer", "grad_avg"]].map { Form(each: each, after: $0) }
    default: break
    }
    return forms
  }

  private var each: [String] {
    switch self {
    case .adam: ["exp_avg", "exp_avg_sq"]
    case .sgd: ["momentum_buffer"]
    case .lion: ["exp_avg"]
    case .adamax: ["exp_avg", "exp_inf"]
    case .rmsprop: ["square_avg"]
    case .adagrad: ["sum"]
    case .adadelta: ["square_avg", "acc_delta"]
    }
  }

  /// The slots by the words that Keras 3 ends its variables' names with, the longest first.
  var words: [(end: String, slot: String)] {
    switch self {
    case .adam: [("velocity_hat", "max_exp_avg_sq"), ("momentum", "exp_avg"), ("velocity", "exp_avg_sq")]
    case .sgd: [("momentum", "momentum_buffer")]
    case .lion: [("momentum", "exp_avg")]
    case .adamax: [("momentum", "exp_avg"), ("norm", "exp_inf")]
    case .rmsprop:
      [("average_gradient", "grad_avg"), ("momentum", "momentum_buffer"), ("velocity", "square_avg")]
    case .adagrad: [("accumulator", "sum")]
    case .adadelta: [("accumulated_delta_var", "acc_delta"), ("accumulated_grad", "square_avg")]
    }
  }
}
