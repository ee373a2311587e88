import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 8: optimizers that do not fit its form, and files that break it.
@Suite struct OptimizerFitClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  static func misfits() throws -> [(String, Value)] {
    let one = try tensor([1], [1])
    func state(_ entries: (String, Value)...) -> Value { .dict(Dict(entries.map { Dict.Entry(.string($0.0), $0.1) })) }
    let members = group([.int(0), .int(1)])
    let long = String(repeating: "x", count: 60_001)
    return [
      ("no whole number", optimizer([(.int(0), state(("step", .double(0.5))))], [members])),
      ("no whole number", optimizer([(.int(0), state(("step", .int(-1))))], [members])),
      ("no whole number", optimizer([(.int(0), state(("step", .double(-0.0))))], [members])),
      ("no whole number", optimizer([(.int(0), state(("step", try tensor([1], [1]))))], [members])),
      ("no whole number", optimizer([(.int(0), state(("step", try tensor([-0.0], []))))], [members])),
      (
        "several types",
        optimizer([(.int(0), state(("step", .int(1)))), (.int(1), state(("step", .double(1))))], [members])
      ),
      (
        "order differs",
        optimizer([(.int(0), state(("m", one), ("v", one))), (.int(1), state(("v", one), ("m", one)))], [members])
      ),
      ("in no group", optimizer([(.int(5), state(("m", one)))], [members])),
      ("no plain dict with entries", optimizer([(.int(0), state())], [members])),
      ("no ordinary string", optimizer([(.int(0), state(("", one)))], [members])),
      ("no ordinary string", optimizer([(.int(0), state((String(repeating: "s", count: 257), one)))], [members])),
      ("no ordinary string", optimizer([], [group([.int(0), .int(1)], (long, .int(1)))])),
      (
        "more than 64 slots",
        optimizer([(.int(0), .dict(Dict((0..<65).map { Dict.Entry(.string("s\($0)"), one) })))], [members])
      ),
    ]
  }

  /// OPT-1: wherever the tree has an optimizer, it is stored as one, but for the two places that the clause names.
  @Test func anOptimizerIsFoundAnywhere() throws {
    let adam = optimizer([(.string("w"), dict(("m", try tensor([1], [1]))))], [group([.string("w")])])
    let numbers = optimizer([(.int(0), dict(("n", .int(1))))], [group([.int(0)])])
    let tree = dict(
      ("list", .sequence(.list, [adam])), ("record", .record(Record("r", [Record.Field("f", adam)]))),
      ("empty", optimizer([], [])), ("inner", optimizer([(.int(0), dict(("o", adam)))], [group([.int(0)])])),
      ("packed", .sequence(.list, [Value](repeating: .none, count: 128) + [numbers])))
    let file = try surveyed(tree, folder)
    for place in ["list/0", "record/f", "empty", "inner"] {
      #expect(try file.node(place).encoding == "optimizer", "\(place)")
    }
    #expect(try file.node("inner/o/param.0").encoding == "dict")
    #expect(try file.node("packed").encoding == "json")
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
    #expect(problems(path) == [])
  }

  /// OPT-1: what does not fit is a dict, with a warning that says why, and comes back all the same.
  @Test func anOptimizerThatDoesNotFitIsADict() throws {
    for (why, optimizer) in try Self.misfits() {
      let tree = dict(("model", dict(("a", try tensor([1], [1])), ("b", try tensor([2], [1])))), ("opt", optimizer))
      let written = try NativeFormat.write(tree, to: path, options: replacing)
      #expect(
        written.warnings.contains { $0.contains("opt is stored as an ordinary dict") && $0.contains(why) }, "\(why)")
      #expect(try Survey(path).node("opt").encoding == "dict", "\(why)")
      let read = try NativeFormat.read(path)
      #expect(try sameContent(read.root, tree), "\(why)")
      #expect(problems(path) == [], "\(why)")
    }
  }

  /// OPT-2, OPT-3, OPT-5, OPT-6, OPT-7: columns that contradict each other are refused.
  @Test func contradictingColumnsAreRefused() throws {
    let changes: [(String, String, [Int64]?, String)] = [
      ("opt", "params", nil, "without its parameters' names"), ("opt", "step", [1], "1 steps for 2"),
      ("opt", "ids", [1], "1 ids for 2"), ("opt", "ids", [1, 1], "distinct"),
      ("opt", "state_order", [0, 0], "no list of distinct positions"),
      ("opt", "state_order", [2], "no list of distinct positions"),
      ("opt/param_groups/0", "params", [0, 2], "no position below 2"),
      ("opt/param_groups/0", "params", [0, 0], "each of the 2 parameters"),
      ("opt/param_groups/0", "params", [0], "1 members"),
      ("opt/param_groups/0", "params", nil, "a group without params"),
    ]
    let state = dict(("step", .int(3)), ("m", try tensor([1], [1])))
    let tree = dict(("opt", optimizer([(.int(0), state)], [group([.int(0), .int(1)])])), ("n", .int(1)))
    for (place, name, numbers, words) in changes {
      try NativeFormat.write(tree, to: path, options: replacing)
      try edit(path) { root in
        try within(root, place) { group in
          if try group.exists(name) { try group.remove(name) }
          guard let numbers else { return }
          let column = ["encoding-type": AttributeValue.string("column")]
          try group.put(name, .int64, .simple([numbers.count]), littleEndian(numbers), column)
        }
      }
      #expect(refusal(path).contains(words), "\(place) \(name)")
    }
    try NativeFormat.write(tree, to: path, options: replacing)
    try edit(path) { try $0.openGroup("opt").set("step-type", .string("tensor:nothing")) }
    #expect(refusal(path).contains("step-type"))
    try NativeFormat.write(tree, to: path, options: replacing)
    try edit(path) { try $0.openGroup("opt").openGroup("m").putInt("stranger", 1) }
    #expect(refusal(path).contains("no parameter of this optimizer"))
  }

  /// OPT-2: two names of the same letters in the file are refused, as no writer makes them.
  @Test func namesInTheFileAreDistinct() throws {
    let state: [(Key, Value)] = [(.string("a"), dict(("m", try tensor([1], [1]))))]
    let tree = optimizer(state, [group([.string("a"), .string("b")])])
    try NativeFormat.write(tree, to: path)
    try edit(path) { root in
      let dataset = try root.openGroup("optimizer").openDataset("params")
      try Array("aa".utf8).withUnsafeBytes { try dataset.write($0) }
    }
    #expect(refusal(path).contains("two parameters have one name"))
  }
}
