import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 8.
@Suite struct OptimizerClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  private func moment(_ value: Float) throws -> Value { try tensor([value, value], [2]) }

  /// The file of a run with this optimizer and a model of the parameters `a` and `b`, after both ways of reading it
  /// have given the tree again.
  private func stored(_ optimizer: Value) throws -> Survey {
    let model = dict(("a", try tensor([1, 2], [2])), ("b", try tensor([3, 4], [2])))
    let tree = dict(("model", model), ("opt", optimizer))
    let written = try NativeFormat.write(tree, to: path, options: replacing)
    #expect(!written.warnings.contains { $0.contains("ordinary dict") })
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
    #expect(read.warnings == [])
    #expect(problems(path) == [])
    let survey = try Survey(path)
    try edit(path) { try $0.remove("manifest") }
    let walked = try NativeFormat.read(path)
    #expect(try sameContent(walked.root, tree))
    return survey
  }

  /// OPT-1, OPT-2, OPT-3, OPT-4, OPT-8: the columns of an ordinary optimizer, at the place the tree has it.
  @Test func anOptimizerLiesByParameterName() throws {
    let file = try surveyed(try trainingTree(), folder)
    let optimizer = try file.node("optimizer")
    #expect(optimizer.links == ["params", "step", "exp_avg", "exp_avg_sq", "param_groups"])
    #expect(
      optimizer.attributes == [
        "encoding-type": .string("optimizer"), "algorithm": .string("AdamW"), "step-type": .string("tensor:float32"),
        "slots": .strings(["step", "exp_avg", "exp_avg_sq"]),
      ])
    let names = ["wte.weight", "fc.weight", "fc.bias"]
    #expect(try file.node("optimizer/params").texts == names)
    #expect(try file.node("optimizer/step").numbers(Int64.self) == [50, 50, 50])
    for column in ["params", "step", "exp_avg", "exp_avg_sq"] {
      #expect(try file.node("optimizer/\(column)").attributes == ["encoding-type": .string("column")])
    }
    for slot in ["exp_avg", "exp_avg_sq"] { #expect(try file.node("optimizer/\(slot)").links == names) }
    #expect(try file.node("optimizer/exp_avg/fc.bias").bytes == littleEndian([Float(0), 0.1]))
    #expect(try file.node("optimizer/param_groups").links == ["0", "1"])
    #expect(try file.node("optimizer/param_groups").encoding == "list")
    // The algorithm is no content.
    try edit(folder.file("x.h5")) { try $0.openGroup("optimizer").set("algorithm", .string("Lion")) }
    #expect(refusal(path) == "")
  }

  /// OPT-2: names are escaped as links are.
  @Test func namesAreLinks() throws {
    let state: [(Key, Value)] = [
      (.string("x/y"), dict(("m", try moment(1)))), (.string(""), dict(("m", try moment(2)))),
      (.string("e\u{301}"), dict(("m", try moment(3)))), (.string("\u{E9}"), dict(("m", try moment(4)))),
    ]
    let file = try stored(optimizer(state, [group(state.map(\.0.value))]))
    let links = ["x%2Fy", "%", "e\u{301}", "\u{E9}"].map { Array($0.utf8) }
    #expect(try file.node("opt/params").texts.map { Array($0.utf8) } == links)
    #expect(try file.node("opt/m").links?.map { Array($0.utf8) } == links)
    #expect(try file.node("opt").text("keys") == "names")
  }

  /// OPT-3
  @Test func stepsAreAColumnWithTheTypeTheyHad() throws {
    func scalar(_ dtype: DType, _ bytes: [UInt8]) throws -> Value {
      .tensor(try Tensor(dtype: dtype, shape: [], source: BufferSource(bytes)))
    }
    let types: [(Value, String)] = [
      (.int(7), "int"), (.double(7), "float"), (try scalar(.float32, littleEndian([Float(7)])), "tensor:float32"),
      (try scalar(.float64, littleEndian([7.0])), "tensor:float64"),
      (try scalar(.int64, littleEndian([Int64(7)])), "tensor:int64"),
      (try scalar(.int32, littleEndian([Int32(7)])), "tensor:int32"),
    ]
    for (step, type) in types {
      let state = dict(("m", try moment(1)), ("step", step))
      let file = try stored(optimizer([(.int(1), state)], [group([.int(0), .int(1)])]))
      #expect(try file.node("opt").text("step-type") == type)
      #expect(try file.node("opt/step").numbers(Int64.self) == [-1, 7])
    }
    let file = try stored(optimizer([(.int(0), dict(("m", try moment(1))))], [group([.int(0), .int(1)])]))
    #expect(file["opt/step"] == nil)
    #expect(try file.node("opt").text("step-type") == nil)
    #expect(try stored(optimizer([], [group([.int(0), .int(1)])])).node("opt").attributes["slots"] == nil)
  }

  /// OPT-4, NAME-3: slots of the columns' own names, and names that only differ in how a letter is written.
  @Test func slotsOfReservedNamesAreEscaped() throws {
    let slots = ["params", "ids", "state_order", "param_groups", "manifest", "a/b", "\u{E9}", "e\u{301}"]
    let state = Value.dict(Dict(try slots.enumerated().map { Dict.Entry(.string($1), try moment(Float($0))) }))
    let file = try stored(optimizer([(.int(0), state)], [group([.int(0), .int(1)])]))
    let links = ["%70arams", "%69ds", "%73tate_order", "%70aram_groups", "manifest", "a%2Fb", "\u{E9}", "e\u{301}"]
    for (index, link) in links.enumerated() {
      let value = littleEndian([Float(index), Float(index)])
      #expect(try file.node("opt/\(link)/a").bytes == value, "\(link)")
    }
    #expect(try file.node("opt").attributes["slots"] == .strings(slots))
  }

  /// OPT-4: a slot may hold anything. Dicts are no optimizers of their own, and what is tied is read in the order of
  /// the file.
  @Test func slotsHoldAnyValue() throws {
    let source = BufferSource(elements: [Float(1), 2])
    let plain = try Tensor(dtype: .float32, shape: [2], source: source)
    let parameter = try Tensor(dtype: .float32, shape: [2], source: source, kind: .parameter)
    let first = dict(("m", try moment(1)), ("v", .tensor(plain)), ("n", .none), ("d", dict(("state", try moment(2)))))
    let second = dict(("m", .tensor(parameter)), ("v", .tensor(plain)), ("n", .sequence(.list, [])), ("d", dict()))
    let file = try stored(optimizer([(.int(0), first), (.int(1), second)], [group([.int(0), .int(1)])]))
    #expect(try file.node("opt").encoding == "optimizer")
    #expect(try file.node("opt/d/a").encoding == "dict")
    #expect(try file.node("opt/v/a").text("target") == "/opt/m/b")
  }

  /// OPT-5
  @Test func idsAreKeptWhereTheySayMore() throws {
    let state: [(Key, Value)] = [(.int(9), dict(("m", try moment(1)))), (.int(4), dict(("m", try moment(2))))]
    let file = try stored(optimizer(state, [group([.int(9)]), group([.int(4)])]))
    #expect(try file.node("opt/ids").numbers(Int64.self) == [9, 4])
    #expect(try file.node("opt").attributes["keys"] == nil)
    let plain = try stored(optimizer([(.int(0), dict(("m", try moment(1))))], [group([.int(0), .int(1)])]))
    #expect(plain["opt/ids"] == nil)
  }

  /// OPT-6
  @Test func theOrderOfTheStateIsKept() throws {
    let state: [(Key, Value)] = [(.int(1), dict(("m", try moment(1)))), (.int(0), dict(("m", try moment(2))))]
    let swapped = try stored(optimizer(state, [group([.int(0), .int(1)])]))
    #expect(try swapped.node("opt/state_order").numbers(Int64.self) == [1, 0])
    #expect(try swapped.node("opt").attributes["state_first"] == nil)
    let groupsFirst = try stored(optimizer(state.reversed(), [group([.int(0), .int(1)])], stateFirst: false))
    #expect(groupsFirst["opt/state_order"] == nil)
    #expect(try groupsFirst.node("opt").attributes["state_first"] == .bool(false))
  }

  /// OPT-7: members are positions; simple values are attributes; `order` has them all.
  @Test func simpleValuesOfAGroupAreAttributes() throws {
    let text = String(repeating: "x", count: 1024)
    let tuple = (0..<64).map { Double($0) }
    let entries: [(String, Value, AttributeValue)] = [
      ("z", .none, .empty), ("flag", .bool(true), .bool(true)), ("n", .int(-3), .int(-3)),
      ("lr", .double(0.001), .double(0.001)), ("text", .string(text), .string(text)),
      ("betas", .sequence(.tuple, tuple.map(Value.double)), .doubles(tuple)), ("a/b", .int(1), .int(1)),
    ]
    let members = Dict.Entry(.string("params"), .sequence(.list, [.int(1)]))
    let values = [members] + entries.map { Dict.Entry(.string($0.0), $0.1) }
    let file = try stored(optimizer([], [group([.int(0)]), .dict(Dict(values))]))
    let node = try file.node("opt/param_groups/1")
    #expect(node.links == ["params"])
    #expect(node.encoding == "param-group")
    for (name, _, attribute) in entries { #expect(node.attributes[name] == attribute, "\(name)") }
    #expect(try file.node("opt/param_groups/1/params").numbers(Int64.self) == [1])
    // By bytes: a%2Fb, betas, flag, lr, n, params, text, z
    #expect(node.order == [5, 7, 2, 4, 3, 6, 1, 0])
  }

  /// OPT-7: everything else is an object; a tensor of one element shows its number besides.
  @Test func otherValuesOfAGroupAreObjects() throws {
    let objects: [(String, Value)] = [
      ("empty", .string("")), ("long", .string(String(repeating: "x", count: 1025))), ("nul", .string("a\0")),
      ("list", .sequence(.list, [.double(1)])), ("no floats", .sequence(.tuple, [])),
      ("ints", .sequence(.tuple, [.int(1)])),
      ("many", .sequence(.tuple, [Value](repeating: .double(1), count: 65))), ("dict", dict(("a", .int(1)))),
      ("encoding-type", .int(1)), ("encoding-version", .string("7.0")), ("order", .double(1)),
      ("lr", try tensor([0.25], [])), ("one", try tensor([2], [1])), ("two", try tensor([1, 2], [2])),
    ]
    let entries = objects + [("params", .sequence(.list, [.int(0), .int(1)]))]
    let groups: [Value] = [.dict(Dict(entries.map { Dict.Entry(.string($0.0), $0.1) }))]
    let file = try stored(optimizer([], groups))
    let node = try file.node("opt/param_groups/0")
    #expect(node.links == entries.map(\.0))
    #expect(
      node.attributes.filter { $0.key != "order" } == [
        "encoding-type": .string("param-group"), "lr": .double(0.25), "one": .double(2),
      ])
    try edit(path) { root in
      try within(root, "opt/param_groups") { try $0.openGroup("0").set("lr", .double(9)) }
    }
    guard case .dict(let optimizer)? = try NativeFormat.read(path).root.value("opt"),
      case .sequence(_, let read)? = optimizer["param_groups"], case .tensor(let lr)? = read[0].value("lr")
    else { throw Missing() }
    #expect(try lr.elements(as: Float.self) == [0.25])
  }
}
