extension OptimizerState {
  /// Which optimizer wrote the state, as far as the state tells.
  public struct Algorithm: Sendable {
    /// `AdamW`, `SGD`, …; where two write the same, both (`Adam or AdamW`); nil where nothing tells.
    public let name: String?
    /// What it was told by.
    public let reason: String
  }

  /// PyTorch does not store the optimizer's class. The keys of its groups and the slots tell most of them apart.
  public var algorithm: Algorithm {
    let options = Set(groups.flatMap { $0.options.map(\.key) })
    let slots = Set(slotNames.map(Key.string))
    for rule in Self.rules where rule.fits(options: options, slots: slots) {
      let evidence = (rule.options.map { "'\($0)' in its groups" } + rule.slots.map { "'\($0)' in its state" })
      return Algorithm(name: rule.name, reason: evidence.joined(separator: ", "))
    }
    if options.contains(.string("betas")), !options.contains(.string("eps")),
      slots.subtracting([.string("step")]) == [.string("exp_avg")]
    {
      return Algorithm(name: "Lion", reason: "'betas' without 'eps' in its groups, and only 'exp_avg' in its state")
    }
    if options.isSuperset(of: ["betas", "eps"].map(Key.string)), !options.contains(.string("weight_decay")),
      slots.hasMoments
    {
      return Algorithm(name: "SparseAdam", reason: "moments as Adam has them, and no 'weight_decay' in its groups")
    }
    if options.isSuperset(of: ["betas", "eps", "weight_decay"].map(Key.string)), slots.isEmpty || slots.hasMoments {
      return adam(options)
    }
    return Algorithm(name: nil, reason: "neither its groups nor its state are those of an optimizer known here")
  }

  private func adam(_ options: Set<Key>) -> Algorithm {
    let flags = groups.compactMap { $0["decoupled_weight_decay"] }.map {
      if case .bool(true) = $0 { true } else { false }
    }
    // RAdam has the flag and Adam's slots, but never 'amsgrad'.
    if !flags.isEmpty, !options.contains(.string("amsgrad")) {
      return Algorithm(name: "RAdam", reason: "'decoupled_weight_decay' without 'amsgrad' in its groups")
    }
    if flags.isEmpty {
      let why = "moments as Adam has them, and no 'decoupled_weight_decay' that would tell which (older than torch 2.7)"
      return Algorithm(name: "Adam or AdamW", reason: why)
    }
    if flags.allSatisfy({ $0 }) { return Algorithm(name: "AdamW", reason: "'decoupled_weight_decay' is True") }
    if flags.allSatisfy({ !$0 }) { return Algorithm(name: "Adam", reason: "'decoupled_weight_decay' is False") }
    return Algorithm(name: "Adam or AdamW", reason: "'decoupled_weight_decay' differs between the groups")
  }

  private struct Rule {
    let name: String
    var options: [String] = []
    var slots: [String] = []

    /// Slots decide only where there is state.
    func fits(options have: Set<Key>, slots haveSlots: Set<Key>) -> Bool {
      options.allSatisfy { have.contains(.string($0)) } && slots.allSatisfy { haveSlots.contains(.string($0)) }
    }
  }

  /// The first that fits, so the more special come first.
  private static let rules: [Rule] = [
    Rule(name: "NAdam", options: ["momentum_decay"]),
    Rule(name: "NAdam", slots: ["mu_product"]),
    Rule(name: "Adamax", slots: ["exp_inf"]),
    Rule(name: "LBFGS", options: ["history_size", "line_search_fn"]),
    Rule(name: "Muon", options: ["ns_coefficients", "ns_steps"]),
    Rule(name: "Adafactor", options: ["beta2_decay"]),
    Rule(name: "Rprop", options: ["etas", "step_sizes"]),
    Rule(name: "ASGD", options: ["lambd", "t0"]),
    Rule(name: "Adagrad", options: ["lr_decay"]),
    Rule(name: "Adadelta", options: ["rho"]),
    Rule(name: "Adadelta", slots: ["square_avg", "acc_delta"]),
    Rule(name: "RMSprop", options: ["alpha", "centered"]),
    Rule(name: "SGD", options: ["momentum", "dampening"]),
    Rule(name: "Adafactor (Hugging Face)", options: ["relative_step", "warmup_init"]),
    Rule(name: "SOAP", slots: ["GG", "Q"]),
    Rule(name: "Shampoo", options: ["max_preconditioner_dim"]),
    Rule(name: "Shampoo", slots: ["precond_0", "inv_precond_0"]),
    Rule(name: "Adam or AdamW (8-bit, bitsandbytes)", options: ["betas"], slots: ["state1", "state2", "qmap1"]),
    Rule(name: "8-bit (bitsandbytes)", slots: ["state1", "qmap1"]),
    Rule(name: "8-bit (bitsandbytes)", slots: ["__bnb_optimizer_quant_state__"]),
    Rule(name: "AdamW (Hugging Face)", options: ["correct_bias", "betas"]),
  ]
}

extension Set<Key> {
  fileprivate var hasMoments: Bool { contains(.string("exp_avg")) && contains(.string("exp_avg_sq")) }
}
