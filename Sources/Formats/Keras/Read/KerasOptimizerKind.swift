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
    case "rmsprop", "rms_prop": self = .rmsprop
    case "adagrad": self = .adagrad
    case "adadelta": self = .adadelta
    default: return nil
    }
  }

  /// An order of slots: for each variable in turn `each`, then for each variable `after`.
  struct Form {
    var each: [String]
    var after: [String] = []

    /// How many variables `slots` are for.
    func count(_ slots: Int) -> Int? {
      let perVariable = each.count + after.count
      return slots % perVariable == 0 ? slots / perVariable : nil
    }

    /// The variables' shapes, which all their slots have; nil where they differ.
    func shapes(_ slots: [[Int]], _ count: Int) -> [[Int]]? {
      let shapes = (0..<count).map { slots[$0 * each.count] }
      for (index, shape) in slots.enumerated() {
        guard let (_, variable) = slot(index, count), shapes[variable] == shape else { return nil }
      }
      return shapes
    }

    /// What stands at a place, and of which variable.
    func slot(_ index: Int, _ count: Int) -> (String, Int)? {
      if index < each.count * count { return (each[index % each.count], index / each.count) }
      let rest = index - each.count * count
      return rest < after.count * count ? (after[rest / count], rest % count) : nil
    }
  }

  /// The orders that it may have, by its settings.
  var forms: [Form] {
    switch self {
    case .adam:
      [Form(each: ["exp_avg", "exp_avg_sq"]), Form(each: ["exp_avg", "exp_avg_sq"], after: ["max_exp_avg_sq"])]
    case .sgd: [Form(each: ["momentum_buffer"])]
    case .lion: [Form(each: ["exp_avg"])]
    case .adamax: [Form(each: ["exp_avg", "exp_inf"])]
    case .rmsprop:
      [
        Form(each: ["square_avg"]), Form(each: ["square_avg"], after: ["momentum_buffer"]),
        Form(each: ["square_avg"], after: ["momentum_buffer", "grad_avg"]),
      ]
    case .adagrad: [Form(each: ["sum"])]
    case .adadelta: [Form(each: ["square_avg", "acc_delta"])]
    }
  }
}
