import Checkpoint
import Testing

@Suite struct TransformTests {
  /// A model with two layers and its optimizer, decay split.
  private func checkpoint() throws -> Value {
    Make.dict([
      "epoch": .int(3),
      "model": try Make.model(["fc.weight": [3, 2], "fc.bias": [3], "head.weight": [1, 3], "head.bias": [1]]),
      "optimizer": try Make.adam([[[3, 2], [1, 3]], [[3], [1]]]),
    ])
  }

  private func paths(_ value: Value) throws -> [String] {
    var texts: [String] = []
    try value.forEachTensor { _, text, _ in texts.append(text) }
    return texts
  }

  private func keys(_ value: Value?) -> [String] { value?.dictValue?.entries.map(\.key.text) ?? [] }

  private func apply(_ root: Value, _ change: (inout Transform) throws -> Void) throws -> Value {
    var transform = Transform()
    try change(&transform)
    return try transform.apply(to: root).root
  }

  private func optimizer(_ root: Value, _ path: String = "optimizer") throws -> OptimizerState {
    let value = try #require(try root.at(path))
    return try #require(OptimizerState(value))
  }

  @Test func nothingAskedChangesNothing() throws {
    let root = try checkpoint()
    #expect(try Diff(root, try Transform().apply(to: root).root).isEqual)
  }

  // MARK: Include and exclude

  @Test func includeByNameKeepsTheParameterAndItsState() throws {
    let result = try apply(try checkpoint()) { $0.include = [Glob("fc.*")] }
    #expect(keys(try result.at("model")) == ["fc.weight", "fc.bias"])
    #expect(keys(try result.at("optimizer.state")) == ["0", "2"])
    #expect(keys(try result.at("optimizer.state.0")) == ["step", "exp_avg", "exp_avg_sq"])
    #expect(keys(result) == ["epoch", "model", "optimizer"])
    let lens = try optimizer(result)
    #expect(lens.keys == [.int(0), .int(2)])
  }

  @Test func includeByPathKeepsThatAlone() throws {
    let result = try apply(try checkpoint()) { $0.include = [Glob("model.fc.weight")] }
    #expect(try paths(result) == ["model.fc.weight"])
    #expect(keys(result) == ["epoch", "model"])
  }

  @Test func excludedModelTensorTakesItsStateWithIt() throws {
    let result = try apply(try checkpoint()) { $0.exclude = [Glob("model.head.*")] }
    #expect(keys(try result.at("model")) == ["fc.weight", "fc.bias"])
    let lens = try optimizer(result)
    #expect(lens.keys == [.int(0), .int(2)])
    #expect(lens.state.count == 2)
  }

  @Test func excludedSlotLeavesTheRest() throws {
    let result = try apply(try checkpoint()) { $0.exclude = [Glob("*.exp_avg")] }
    #expect(keys(try result.at("optimizer.state.1")) == ["step", "exp_avg_sq"])
    #expect(keys(try result.at("model")).count == 4)
  }

  @Test func excludedSubtreeGoesWhole() throws {
    let result = try apply(try checkpoint()) { $0.exclude = [Glob("optimizer"), Glob("epoch")] }
    #expect(keys(result) == ["model"])
  }

  @Test func patternsThatFindNothingAreSaid() throws {
    var transform = Transform()
    transform.include = [Glob("*")]
    transform.exclude = [Glob("nothing.*")]
    let result = try transform.apply(to: try checkpoint())
    #expect(result.warnings == ["--exclude 'nothing.*' matches nothing"])
    transform.include = [Glob("nobody")]
    #expect(try paths(try transform.apply(to: try checkpoint()).root).isEmpty)
    transform.exclude = [Glob("epoch")]
    #expect(throws: CheckpointError.self) { try transform.apply(to: try checkpoint()) }
  }

  // MARK: Names

  @Test func prefixesAreStrippedInAnyOrder() throws {
    let model = Value.dict(
      Dict(
        [Dict.Entry(.string("_orig_mod.module.fc.weight"), .tensor(try Make.tensor()))],
        attributes: [
          Record.Field(
            "_metadata",
            Make.dict([
              "": .int(1), "_orig_mod": .int(2), "_orig_mod.module": .int(3),
              "_orig_mod.module.fc": .int(4),
            ]))
        ]))
    let result = try apply(model) { $0.stripPrefixes = ["module.", "_orig_mod."] }
    #expect(keys(result) == ["fc.weight"])
    let metadata = StateDict(result)?.metadata
    #expect(keys(metadata).contains("fc"))
    #expect(!keys(metadata).contains("_orig_mod.module.fc"))
  }

  @Test func aWrappersMetadataGivesWayToTheModules() throws {
    let model = Value.dict(
      Dict(
        [Dict.Entry(.string("module.w"), .tensor(try Make.tensor()))],
        attributes: [Record.Field("_metadata", Make.dict(["": .int(1), "module": .int(2)]))]))
    let metadata = StateDict(try apply(model) { $0.stripPrefixes = ["module"] })?.metadata
    #expect(keys(metadata) == [""])
    #expect(metadata?.dictValue?.entries.first?.value.number == 2)
  }

  @Test(arguments: [
    ("^h\\.(\\d+)\\.=layer$1.", "h.3.w", "layer3.w"), ("(a)(b)=\\2\\1", "xab", "xba"), ("b=$0$0", "abc", "abbc"),
    ("a=${1}", "b", "b"), ("x=$$", "x", "$"), ("(x)=${1}0", "x", "x0"), ("a=", "banana", "bnn"), ("w=é", "w", "é"),
  ])
  func renames(rule: String, name: String, expected: String) throws {
    let result = try apply(Make.dict([name: .tensor(try Make.tensor())])) { $0.renames = [try Rename(rule)] }
    #expect(keys(result) == [expected])
  }

  @Test func renamesReachMetadataAndParameterNames() throws {
    let group = Make.dict([
      "param_names": .sequence(.list, [.string("enc.w")]), "params": .sequence(.list, [.int(0)]),
    ])
    let model = try #require(try Make.model(["enc.w": [2]]).dictValue)
    var named = model
    named.attributes = [Record.Field("_metadata", Make.dict(["": .int(1), "enc": .int(2)]))]
    let root = Make.dict([
      "m": .dict(named), "o": Make.dict(["state": Make.dict([:]), "param_groups": .sequence(.list, [group])]),
    ])
    let result = try apply(root) { $0.renames = [try Rename("^enc\\.=encoder.")] }
    let m = try #require(try result.at("m"))
    #expect(keys(StateDict(m)?.metadata) == ["", "encoder"])
    #expect(try optimizer(result, "o").groups.first?.paramNames == ["encoder.w"])
  }

  @Test func clashingNamesAreAnErrorThatNamesBoth() throws {
    let model = try Make.model(["a.w": [1], "b.w": [1]])
    let error = #expect(throws: CheckpointError.self) {
      try self.apply(model) { $0.renames = [try Rename("^[ab]\\.=")] }
    }
    #expect(error?.message == "'a.w' and 'b.w' would both be called 'w'")
    #expect(error?.code == .usage)
  }

  @Test func badRulesAreRefused() throws {
    #expect(throws: CheckpointError.self) { try Rename("(=x") }
    #expect(throws: CheckpointError.self) { try Rename("nothing") }
    #expect(throws: CheckpointError.self) {
      try self.apply(try Make.model(["a": [1]])) { $0.renames = [try Rename("a=$1")] }
    }
    #expect(throws: CheckpointError.self) { try CastRule("float31") }
    #expect(throws: CheckpointError.self) { try CastRule("int8") }
  }

  // MARK: Types

  private func types(_ root: Value, _ rules: String...) throws -> [String: DType] {
    let result = try apply(root) { $0.casts = try rules.map { try CastRule($0) } }
    var types: [String: DType] = [:]
    try result.forEachTensor { _, text, tensor in types[text] = tensor.dtype }
    return types
  }

  @Test func castLeavesMomentsAndIntegersAlone() throws {
    let model = Make.dict(["w": .tensor(try Make.tensor([2])), "n": .tensor(try Make.tensor([], .int64))])
    let root = Make.dict(["model": model, "optimizer": try Make.adam([[[2]]])])
    for rule in ["bfloat16", "*=bfloat16", "torch.bfloat16", "bf16"] {
      let types = try types(root, rule)
      #expect(types["model.w"] == .bfloat16)
      #expect(types["model.n"] == .int64)
      #expect(types["optimizer.state.0.exp_avg"] == .float32)
      #expect(types["optimizer.state.0.step"] == .float32)
    }
  }

  @Test func momentsAreCastWhereThePatternNamesThem() throws {
    let root = Make.dict(["model": try Make.model(["w": [2]]), "optimizer": try Make.adam([[[2]]])])
    #expect(try types(root, "*.exp_avg=bf16")["optimizer.state.0.exp_avg"] == .bfloat16)
    #expect(try types(root, "*.exp_avg=bf16")["optimizer.state.0.exp_avg_sq"] == .float32)
    #expect(try types(root, "optimizer.*=bf16")["optimizer.state.0.exp_avg_sq"] == .bfloat16)
    #expect(try types(root, "optimizer.*=bf16")["optimizer.state.0.step"] == .float32)
    #expect(try types(root, "*.step=float64")["optimizer.state.0.step"] == .float64)
  }

  @Test func theLastRuleWins() throws {
    let root = try Make.model(["a.w": [2], "b.w": [2]])
    #expect(try types(root, "half", "b.*=float64") == ["a.w": .float16, "b.w": .float64])
  }

  @Test func tiedTensorsStayTied() throws {
    let shared = try Make.tensor()
    let root = Make.dict(["a": .tensor(shared), "b": .tensor(shared)])
    let result = try apply(root) {
      $0.casts = [try CastRule("a=float16")]
      $0.renames = [try Rename("b=c")]
    }
    #expect(StateDict(result)?.ties == [["a", "c"]])
  }

  @Test func overflowIsSaidAfterReading() throws {
    var transform = Transform()
    transform.casts = [try CastRule("float16")]
    let result = try transform.apply(to: Make.dict(["w": .tensor(try Make.floats([1e9, 1]))]))
    #expect(result.overflowWarnings.isEmpty)
    try result.root.forEachTensor { (_, _, tensor) throws(CheckpointError) in
      try tensor.source.withBytes { _ throws(CheckpointError) in }
    }
    #expect(result.overflowWarnings == ["w: 1 of 2 numbers are too large for float16 and became infinite"])
  }

  // MARK: Sub-trees, keys, joining

  @Test func keyTakesASubtree() throws {
    #expect(keys(try apply(try checkpoint()) { $0.key = "model" }).first == "fc.weight")
    #expect(keys(try apply(try checkpoint()) { $0.key = "optimizer.state.0" }) == ["step", "exp_avg", "exp_avg_sq"])
    #expect(throws: CheckpointError.self) { try self.apply(try checkpoint()) { $0.key = "modell" } }
  }

  @Test func modelOnly() throws {
    #expect(keys(try apply(try checkpoint()) { $0.modelOnly = true }).count == 4)
    let gan = Make.dict([
      "netG": try Make.model(["g": [1]]), "netD": try Make.model(["d": [1]]), "o": try Make.adam([[[1]]]), "n": .int(1),
    ])
    #expect(try paths(try apply(gan) { $0.modelOnly = true }) == ["netG.g", "netD.d"])
    #expect(keys(try apply(gan) { $0.modelOnly = true }) == ["netG", "netD"])
    #expect(throws: CheckpointError.self) { try self.apply(.int(1)) { $0.modelOnly = true } }
  }

  @Test func optimizerKeysGoThereAndBack() throws {
    let root = try checkpoint()
    let named = try apply(root) { $0.optimizerKeys = .names }
    #expect(keys(try named.at("optimizer.state")) == ["fc.weight", "head.weight", "fc.bias", "head.bias"])
    let lens = try optimizer(named)
    #expect(lens.groups[1].params == [.string("fc.bias"), .string("head.bias")])
    let back = try apply(named) { $0.optimizerKeys = .ids }
    #expect(keys(try back.at("optimizer.state")) == ["0", "1", "2", "3"])
    #expect(ParameterNames.resolve(in: back)[0].names.names == lens.keys.map(\.text))
    let diff = try Diff(root, back)
    #expect(diff.onlyInB == ["optimizer.param_groups.0.param_names", "optimizer.param_groups.1.param_names"])
    #expect(diff.changed.isEmpty && diff.onlyInA.isEmpty)
  }

  @Test func joinMergesAndNamesClashes() throws {
    let joined = try Transform.join([("a.pt", Make.dict(["x": .int(1)])), ("b.pt", Make.dict(["y": .int(2)]))])
    #expect(keys(joined) == ["x", "y"])
    let error = #expect(throws: CheckpointError.self) {
      try Transform.join([("a.pt", Make.dict(["x": .int(1)])), ("b.pt", Make.dict(["x": .int(2)]))])
    }
    #expect(error?.message.contains("'x' (in a.pt and b.pt)") == true)
  }

  @Test func aBareOptimizerAndABareModelGetNames() throws {
    let tensor = Value.tensor(try Make.floats([1, 2]))
    let optimizer = Make.dict([
      "state": .dict(Dict()), "param_groups": .sequence(.list, [Make.dict(["params": .sequence(.list, [])])]),
    ])
    let shards = [("1.pt", Make.dict(["a": tensor])), ("o", optimizer), ("2.pt", Make.dict(["b": tensor]))]
    let joined = try Transform.join(shards)
    #expect(keys(joined) == ["model", "optimizer"])
    guard case .dict(let dict) = joined, let model = dict["model"] else { return #expect(Bool(false)) }
    #expect(keys(model) == ["a", "b"])
    // What has a name already keeps it.
    let nested = ("n", Make.dict(["net": Make.dict(["a": tensor]), "epoch": .int(1)]))
    #expect(try keys(Transform.join([nested, ("o", optimizer)])) == ["net", "epoch", "optimizer"])
    let error = #expect(throws: CheckpointError.self) {
      try Transform.join([("p", optimizer), ("o", optimizer)])
    }
    #expect(error?.message.contains("'optimizer' (in p and o)") == true)
  }

  @Test func aTreeTooDeepIsRefusedWithoutACrash() throws {
    var value = Value.int(1)
    for _ in 0..<2000 { value = .sequence(.list, [value]) }
    #expect(throws: CheckpointError.self) { try self.apply(value) { $0.exclude = [Glob("x")] } }
    var fine = Value.int(1)
    for _ in 0..<490 { fine = Make.dict(["k": fine]) }
    #expect(try Diff(fine, try apply(fine) { $0.exclude = [Glob("x")] }).isEqual)
  }
}

extension Value {
  fileprivate var number: Int64? { if case .int(let number) = self { number } else { nil } }
}
