import Checkpoint
import CheckpointFormats
import Kernels
import Testing

@testable import Training

/// Taking over an optimizer's state: everything that fits, or one report and nothing.
@Suite struct OptimizerLoadTests {
  private let parameters: [NamedParameter]
  private let optimizer: Adam

  init() throws {
    parameters = try Hashed.parameters()
    optimizer = try AdamW(parameters: parameters, lr: 0.5, betas: (0.1, 0.2), eps: 1, weightDecay: 3)
    // A state of its own, which must survive what is refused.
    try Hashed.setGradients(parameters, 9, skips: false, special: false)
    try optimizer.step()
  }

  /// The state of an AdamW after three steps, as a tree that tests may damage.
  private func stored(
    _ names: [String] = (0..<5).map { "layer.\($0)" }, amsgrad: Bool = false, steps: Int = 3
  ) throws -> Tree {
    let parameters = try zip(names, Hashed.parameters()).map { NamedParameter($0, $1.parameter) }
    let other = try AdamW(parameters: parameters, lr: 0.25, weightDecay: 0.125, amsgrad: amsgrad)
    for step in 0..<steps {
      try Hashed.setGradients(parameters, step + 1, skips: false, special: false)
      try other.step()
    }
    return Tree(try other.stateDict())
  }

  private func bits() throws -> String { try ContentDigest.compute(.dict(try optimizer.stateDict())).hex }

  @discardableResult
  private func load(_ tree: Tree, keepsOptions: Bool = false, allowMissing: [Glob] = []) throws -> OptimizerLoadReport {
    try optimizer.load(
      try #require(OptimizerState(tree.value)), keepsOptions: keepsOptions, allowMissing: allowMissing)
  }

  /// - Returns: the message.
  private func refusal(_ tree: Tree, allowMissing: [Glob] = []) throws -> String {
    let before = try bits()
    let error = #expect(throws: CheckpointError.self) { try load(tree, allowMissing: allowMissing) }
    #expect(try bits() == before, "something was changed")
    #expect(error?.code == .usage)
    return error?.message ?? ""
  }

  // MARK: - What fits

  @Test func stateAndOptionsAreTakenOver() throws {
    let tree = try stored()
    let report = try load(tree)
    #expect(report.restored == parameters.map(\.name) && report.withoutState.isEmpty)
    #expect(
      report.notes == [
        "group 0: lr is 0.25 as stored, not 0.5", "group 0: betas is (0.9, 0.999) as stored, not (0.1, 0.2)",
        "group 0: eps is 1e-08 as stored, not 1.0", "group 0: weight_decay is 0.125 as stored, not 3.0",
      ])
    // Once they are the same, there is nothing to tell.
    #expect(try load(tree).notes.isEmpty)
    #expect(optimizer.options[0].lr == 0.25 && optimizer.options[0].weightDecay == 0.125)
    #expect(try bits() == ContentDigest.compute(tree.value).hex)
  }

  @Test func ownOptionsMayStay() throws {
    try load(try stored(), keepsOptions: true)
    #expect(optimizer.options[0].lr == 0.5 && optimizer.options[0].betas == (0.1, 0.2))
    #expect(optimizer.table.tensors[0].step == 3)
  }

  /// Through a file of each kind, as from another program.
  @Test(arguments: ["h5", "pt"]) func aFileInBetweenChangesNothing(_ kind: String) throws {
    let scratch = try RunScratch()
    let tree = try stored()
    let path = "\(scratch.path)/x.\(kind)"
    if kind == "h5" { try NativeFormat.write(tree.value, to: path) } else { try TorchZip.write(tree.value, to: path) }
    let root = kind == "h5" ? try NativeFormat.read(path).root : try TorchZip.read(path).root
    try load(Tree(root))
    #expect(try bits() == ContentDigest.compute(tree.value).hex)
  }

  @Test func parametersAreFoundByNameInAnyOrder() throws {
    let tree = try stored()
    let expected = try #require(OptimizerState(tree.value))
    var turned = tree
    let order: [Int64] = [4, 2, 0, 1, 3]
    turned.group("params", .sequence(.list, order.map(Value.int)))
    turned.group("param_names", .sequence(.list, order.map { .string("layer.\($0)") }))
    try load(turned)
    let found = try #require(OptimizerState(.dict(try optimizer.stateDict())))
    for id in 0..<5 as Range<Int64> {
      let (a, b) = (found.slot("exp_avg", of: .int(id)), expected.slot("exp_avg", of: .int(id)))
      #expect(try #require(a).elements(UInt32.self) == #require(b).elements(UInt32.self))
    }
  }

  @Test func withoutNamesThePositionCounts() throws {
    var tree = try stored()
    tree.group("param_names", nil)
    let report = try load(tree)
    #expect(report.restored.count == 5)
    #expect(report.notes.last == "the state's parameters have no names: matched by position")
  }

  /// torch counts in a float32 tensor, older releases in an int.
  @Test func everySpellingOfAStepIsRead() throws {
    for value in [
      Value.int(3), .tensor(try tensor([Float(3)], .float32, [])), .tensor(try tensor([Int64(3)], .int64, [])),
      .tensor(try tensor([Float(3)], .float32, [1])), .double(3),
    ] {
      var tree = try stored()
      for id in 0..<5 as Range<Int64> { tree.slot(id, "step", value) }
      try load(tree)
      #expect(optimizer.table.tensors[4].step == 3)
    }
  }

  @Test func aStepBeyondFloat32IsKeptAndATensorThatCannotCountIsTold() throws {
    var tree = try stored()
    for id in 0..<5 as Range<Int64> { tree.slot(id, "step", .int(1 << 25 + 1)) }
    try load(tree)
    #expect(try load(tree).notes.isEmpty)
    #expect(optimizer.table.tensors[0].step == 1 << 25 + 1)
    for id in 0..<5 as Range<Int64> { tree.slot(id, "step", .tensor(try tensor([Float(1 << 24)], .float32, []))) }
    #expect(try load(tree).notes.count == 1)
  }

  @Test func aStateThatWasNeverMadeStartsAfresh() throws {
    let report = try load(try stored(steps: 0))
    #expect(report.withoutState == parameters.map(\.name) && report.restored.isEmpty)
    #expect(optimizer.table.tensors.pointee.step == 0)
  }

  @Test func optionsInOtherSpellingsAreRead() throws {
    var tree = try stored()
    tree.group("lr", .tensor(try tensor([Float(0.0625)], .float32, [])))
    tree.group("betas", .sequence(.list, [.double(0.5), .double(0.75)]))
    tree.group("my_own", .string("kept"))
    try load(tree)
    #expect(optimizer.options[0].lr == 0.0625 && optimizer.options[0].betas == (0.5, 0.75))
    let group = Value.dict(try optimizer.stateDict())["param_groups"].items[0]
    #expect(group["my_own"].text == "kept")
  }

  @Test func adamsMomentsGoOnInAdamWWhereNothingDecays() throws {
    let names = (0..<5).map { "layer.\($0)" }
    let parameters = try zip(names, Hashed.parameters()).map { NamedParameter($0, $1.parameter) }
    for decay in [0, 0.1] {
      let adam = try Adam(parameters: parameters, weightDecay: decay)
      try Hashed.setGradients(parameters, 1, skips: false, special: false)
      try adam.step()
      let tree = Tree(try adam.stateDict())
      if decay == 0 {
        #expect(try load(tree).notes.contains { $0.contains("Adam") })
      } else {
        #expect(try refusal(tree).contains("weight_decay"))
        try load(tree, keepsOptions: true)
      }
    }
  }

  // MARK: - What does not

  @Test func everythingThatDoesNotFitIsInOneReport() throws {
    var tree = try stored(["layer.0", "layer.1", "layer.2", "other", "layer.4"])
    tree.slot(0, "exp_avg", .tensor(try tensor([Float](repeating: 0, count: 4), .float32, [4])))
    tree.slot(1, "exp_avg_sq", nil)
    tree.slot(2, "step", .string("three"))
    tree.parameter(4, nil)
    let message = try refusal(tree)
    for part in [
      "layer.0: 'exp_avg' is [4], the parameter [5]", "layer.1: no 'exp_avg_sq'", "layer.2: 'step'", "layer.3",
      "layer.4",
    ] {
      #expect(message.contains(part), "\(part) in \(message)")
    }
    #expect(try refusal(try stored(["layer.0", "layer.1", "layer.2", "other", "layer.4"])).contains("other"))
  }

  @Test func lostStateIsNoFreshState() throws {
    var tree = try stored()
    tree.parameter(2, nil)
    #expect(try refusal(tree).contains("layer.2"))
    #expect(try refusal(tree, allowMissing: [Glob("layer.3")]).contains("layer.2"))
    #expect(try load(tree, allowMissing: [Glob("layer.2")]).withoutState == ["layer.2"])
  }

  /// A parameter without a gradient has no state, and says so.
  @Test func stateThatWasNeverMadeForOneIsToldFromLostState() throws {
    var tree = try stored()
    tree.parameter(2, .dict(Dict()))
    #expect(try load(tree).withoutState == ["layer.2"])
  }

  @Test func anotherAlgorithmIsRefused() throws {
    let parameters = try Hashed.parameters()
    let sgd = try SGD(parameters: parameters, momentum: 0.9)
    try Hashed.setGradients(parameters, 1, skips: false, special: false)
    try sgd.step()
    #expect(try refusal(Tree(try sgd.stateDict())).contains("SGD"))
  }

  @Test func amsgradOfOneSideAloneIsTold() throws {
    #expect(
      try refusal(
        {
          var tree = try stored()
          tree.group("amsgrad", .bool(true))
          return tree
        }()
      ).contains("max_exp_avg_sq"))
    try load(try stored(amsgrad: true))
    #expect(optimizer.options[0].amsgrad)
  }

  @Test func otherGroupsAreRefusedByPositionAndMatchedByName() throws {
    let parameters = try Hashed.parameters()
    let groups = [
      ParameterGroup<AdamOptions>(Array(parameters[..<2])), ParameterGroup(Array(parameters[2...])) { $0.lr = 9 },
    ]
    let two = try AdamW(groups: groups)
    try Hashed.setGradients(parameters, 1, skips: false, special: false)
    try two.step()
    var tree = Tree(try two.stateDict())
    // One group here would have to take the options of two.
    #expect(try refusal(tree).contains("group 0"))
    for group in 0..<2 { tree.group("param_names", nil, number: group) }
    #expect(try refusal(tree).contains("[2, 3]"))
    // The other way round, each group here takes those of the one that it came from.
    let report = try two.load(try #require(OptimizerState(try stored().value)))
    #expect(report.restored.count == 5)
    #expect(two.options.map(\.lr) == [0.25, 0.25])
  }

  @Test func numbersThatAreNoneAreRefused() throws {
    for (key, value) in [
      ("lr", Value.double(-1)), ("lr", .string("fast")), ("betas", .sequence(.list, [.double(0.9)])),
      ("betas", .sequence(.list, [.double(0.9), .double(1)])), ("eps", .none), ("amsgrad", .string("no")),
    ] {
      var tree = try stored()
      tree.group(key, value)
      #expect(try refusal(tree).contains(key), "\(key)")
    }
    for step in [Value.int(-1), .double(.nan), .double(1.5), .tensor(try tensor([Float(1), 2], .float32, [2]))] {
      var tree = try stored()
      tree.slot(3, "step", step)
      #expect(try refusal(tree).contains("layer.3"), "\(step)")
    }
  }
}

/// A stored optimizer whose parts may be replaced, or removed by nil.
private struct Tree {
  var value: Value

  init(_ dict: Dict) { value = .dict(dict) }
  init(_ value: Value) { self.value = value }

  mutating func group(_ key: String, _ new: Value?, number: Int = 0) {
    edit("param_groups") { groups in
      guard case .sequence(let kind, var items) = groups else { return }
      items[number] = Self.setting(.string(key), new, in: items[number])
      groups = .sequence(kind, items)
    }
  }

  mutating func parameter(_ id: Int64, _ new: Value?) {
    edit("state") { $0 = Self.setting(.int(id), new, in: $0) }
  }

  mutating func slot(_ id: Int64, _ name: String, _ new: Value?) {
    edit("state") { state in
      guard case .dict(let dict) = state, let slots = dict[.int(id)] else { return }
      state = Self.setting(.int(id), Self.setting(.string(name), new, in: slots), in: state)
    }
  }

  private mutating func edit(_ key: String, _ change: (inout Value) -> Void) {
    var part = value[key]
    change(&part)
    value = Self.setting(.string(key), part, in: value)
  }

  private static func setting(_ key: Key, _ new: Value?, in value: Value) -> Value {
    guard case .dict(var dict) = value else { return value }
    let index = dict.entries.firstIndex { $0.key == key }
    switch (index, new) {
    case (let index?, let new?): dict.entries[index].value = new
    case (let index?, nil): dict.entries.remove(at: index)
    case (nil, let new?): dict.entries.append(Dict.Entry(key, new))
    case (nil, nil): break
    }
    return .dict(dict)
  }
}
