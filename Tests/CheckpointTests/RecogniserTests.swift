import Checkpoint
import Testing

@Suite struct RecogniserTests {
  private func sections(_ root: Value) -> [String] {
    Recogniser.sections(in: root).map { "\($0.text)=\($0.kind.rawValue)" }
  }

  @Test func usualCheckpoint() throws {
    let root = Make.dict([
      "epoch": .int(3), "model": try Make.model(["w": [2, 2]]), "optimizer": try Make.adam([[[2, 2]]]),
    ])
    #expect(sections(root) == ["model=state-dict", "optimizer=optimizer"])
    #expect(Recogniser.sections(in: root).first?.reason.contains("_metadata") == true)
  }

  @Test func bareStateDictHasTheEmptyPath() throws {
    #expect(sections(try Make.model(["w": [2]])) == ["=state-dict"])
  }

  @Test func lightning() throws {
    let root = Make.dict([
      "state_dict": try Make.model(["w": [2]]), "optimizer_states": .sequence(.list, [try Make.adam([[[2]]])]),
    ])
    #expect(sections(root) == ["state_dict=state-dict", "optimizer_states.0=optimizer"])
  }

  @Test func tensorsOfAnOptimizerAreNoSection() throws {
    let named = Make.dict([
      "state": Make.dict(["w": Make.dict(["exp_avg": .tensor(try Make.tensor())])]),
      "param_groups": .sequence(.list, [Make.dict(["params": .sequence(.list, [.string("w")])])]),
    ])
    #expect(sections(Make.dict(["o": named])) == ["o=optimizer"])
  }

  @Test func extraStateAndSparseTensorsBelongToAStateDict() throws {
    let sparse = Value.record(Record("torch.sparse", [Record.Field("values", .tensor(try Make.tensor()))]))
    let root = Make.dict(["a._extra_state": Make.dict(["x": .int(1)]), "w": sparse])
    #expect(sections(root) == ["=state-dict"])
    #expect(StateDict(root)?["a._extra_state"]?.role == .extraState)
  }

  @Test func whatIsNoStateDict() throws {
    let octets = Value.tensor(try Make.tensor([16], .uint8))
    #expect(sections(Make.dict([:])).isEmpty)
    #expect(sections(Make.dict(["w": .tensor(try Make.tensor()), "n": .int(1)])).isEmpty)
    #expect(sections(Make.dict(["torch": octets])).isEmpty)
    #expect(sections(Make.dict(["metrics": try Make.model(["loss": [9]])])).isEmpty)
    #expect(sections(.dict(Dict([Dict.Entry(.int(0), .tensor(try Make.tensor()))]))).isEmpty)
    #expect(sections(Make.dict(["a._extra_state": .int(1)])).isEmpty)
  }
}

@Suite struct StateDictTests {
  @Test func rolesAndTies() throws {
    let shared = try Make.tensor([4, 4])
    let root = Make.dict([
      "wte.weight": .tensor(shared), "bn.weight": .tensor(try Make.tensor()),
      "bn.running_mean": .tensor(try Make.tensor()), "bn.num_batches_tracked": .tensor(try Make.tensor([], .int64)),
      "h.attn.bias": .tensor(try Make.tensor([1, 1, 8, 8])), "g.weight_v": .tensor(try Make.tensor()),
      "s.weight_u": .tensor(try Make.tensor()), "s.weight_v": .tensor(try Make.tensor()),
      "p": .tensor(try Make.tensor([2], .float32, kind: .buffer(persistent: true))), "head.weight": .tensor(shared),
    ])
    let lens = try #require(StateDict(root))
    #expect(lens.trainable.map(\.name) == ["wte.weight", "bn.weight", "g.weight_v"])
    #expect(lens.ties == [["wte.weight", "head.weight"]])
    #expect(lens["head.weight"]?.tiedTo == "wte.weight")
  }
}

@Suite struct OptimizerStateTests {
  @Test func readsGroupsSlotsAndStep() throws {
    let lens = try #require(OptimizerState(try Make.adam([[[2, 2], nil], [[2]]])))
    #expect(lens.keys == [.int(0), .int(1), .int(2)])
    #expect(lens.slotNames == ["step", "exp_avg", "exp_avg_sq"])
    #expect(try lens.step() == 7)
    #expect(lens.slots(of: .int(1)) == nil)
    #expect(lens.groups[0].options.map(\.key.text).first == "lr")
    #expect(lens.groups[0].options.count == 6)
  }

  @Test func stepsThatDifferHaveNoCommonValue() throws {
    let state = Value.dict(
      Dict([
        Dict.Entry(.int(0), Make.dict(["step": .int(3)])), Dict.Entry(.int(1), Make.dict(["step": .int(4)])),
        Dict.Entry(.string("x"), Make.dict([:])),
      ]))
    let groups = Value.sequence(.list, [Make.dict(["params": .sequence(.list, [.int(0), .int(1)])])])
    let lens = try #require(OptimizerState(Make.dict(["state": state, "param_groups": groups])))
    #expect(try lens.step() == nil)
    #expect(try lens.step(of: .int(1)) == 4)
    #expect(lens.orphans == [.string("x")])
  }

  @Test func adamIsToldByTheFlagOrNotAtAll() throws {
    func name(_ flag: Value?) throws -> String? { OptimizerState(try Make.adam([[[2]]], flag: flag))?.algorithm.name }
    #expect(try name(.bool(true)) == "AdamW")
    #expect(try name(.bool(false)) == "Adam")
    #expect(try name(nil) == "Adam or AdamW")
  }

  /// Keys of groups and slots as torch 2.13 writes them.
  @Test(arguments: [
    (
      "NAdam", "lr betas eps weight_decay momentum_decay decoupled_weight_decay maximize",
      "step mu_product exp_avg exp_avg_sq"
    ),
    ("RAdam", "lr betas eps weight_decay maximize decoupled_weight_decay", "step exp_avg exp_avg_sq"),
    ("Adamax", "lr betas eps weight_decay maximize", "step exp_avg exp_inf"),
    ("SGD", "lr momentum dampening weight_decay nesterov maximize", "momentum_buffer"),
    ("SGD", "lr momentum dampening weight_decay nesterov maximize", ""),
    ("RMSprop", "lr momentum alpha eps centered weight_decay", "step square_avg momentum_buffer grad_avg"),
    ("Adagrad", "lr lr_decay eps weight_decay initial_accumulator_value", "step sum"),
    ("Adadelta", "lr rho eps weight_decay", "step square_avg acc_delta"),
    ("ASGD", "lr lambd alpha t0 weight_decay", "step eta mu ax"),
    ("Rprop", "lr etas step_sizes", "step prev step_size"),
    ("Adafactor", "lr beta2_decay eps d weight_decay", "step row_var col_var"),
    ("Muon", "lr weight_decay momentum nesterov ns_coefficients eps ns_steps adjust_lr_fn", "momentum_buffer"),
    ("LBFGS", "lr max_iter max_eval tolerance_grad tolerance_change history_size line_search_fn", "d t old_dirs"),
    ("SparseAdam", "lr betas eps maximize", "step exp_avg exp_avg_sq"),
    ("Lion", "lr betas weight_decay", "exp_avg"),
    ("SOAP", "lr betas eps weight_decay precondition_frequency", "step exp_avg exp_avg_sq GG Q"),
    ("Shampoo", "lr momentum weight_decay epsilon update_freq", "step precond_0 inv_precond_0"),
    ("Shampoo", "lr betas beta3 epsilon weight_decay max_preconditioner_dim", "block_0"),
    ("Adafactor (Hugging Face)", "lr eps clip_threshold relative_step scale_parameter warmup_init", "step RMS"),
    ("Adam or AdamW (8-bit, bitsandbytes)", "lr betas eps weight_decay", "step state1 state2 qmap1 qmap2 absmax1"),
    ("8-bit (bitsandbytes)", "lr betas eps weight_decay", "step state1 qmap1 absmax1"),
  ])
  func algorithmIsTold(name: String, options: String, slots: String) throws {
    let group = options.split(separator: " ").map { Dict.Entry(.string(String($0)), .bool(false)) }
    let state = slots.split(separator: " ").map { Dict.Entry(.string(String($0)), .int(1)) }
    let params = Dict.Entry(.string("params"), .sequence(.list, [.int(0)]))
    let root = Make.dict([
      "state": .dict(Dict([Dict.Entry(.int(0), .dict(Dict(state)))])),
      "param_groups": .sequence(.list, [.dict(Dict(group + [params]))]),
    ])
    #expect(OptimizerState(root)?.algorithm.name == name)
  }

  @Test func unknownOptimizerIsNotNamed() throws {
    let root = Make.dict([
      "state": Make.dict([:]), "param_groups": .sequence(.list, [Make.dict(["params": .sequence(.list, [])])]),
    ])
    #expect(OptimizerState(root)?.algorithm.name == nil)
  }
}
