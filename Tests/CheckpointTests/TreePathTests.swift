import Checkpoint
import Testing

@Suite struct TreePathTests {
  private func tree() throws -> Value {
    Make.dict([
      "model": Make.dict(["fc.weight": .tensor(try Make.tensor()), "e": Make.dict([:])]),
      "list": .sequence(.list, [.int(1), .sequence(.tuple, [.none])]),
      "odd": .dict(
        Dict([
          Dict.Entry(.int(-3), .int(1)), Dict.Entry(.none, .int(2)), Dict.Entry(.bool(true), .int(3)),
          Dict.Entry(.tuple([.int(1), .string("a")]), .int(4)), Dict.Entry(.double(0.5), .int(5)),
          Dict.Entry(.bytes([0x61, 0x00]), .int(6)), Dict.Entry(.tuple([.int(1)]), .int(7)),
        ])),
    ])
  }

  @Test func leavesComeInFileOrderWithReadablePaths() throws {
    var texts: [String] = []
    try tree().forEachLeaf { path, text, _ in
      texts.append(text)
      #expect(path.text == text)
    }
    #expect(
      texts == [
        "model.fc.weight", "model.e", "list.0", "list.1.0", "odd.-3", "odd.None", "odd.True", "odd.(1, 'a')", "odd.0.5",
        "odd.b'a\\x00'", "odd.(1,)",
      ])
  }

  @Test func attributesAreVisitedOnRequestOnly() throws {
    let model = try Make.model(["w": [1]])
    var plain: [String] = []
    var all: [String] = []
    try model.forEachLeaf { _, text, _ in plain.append(text) }
    try model.forEachLeaf(attributes: true) { _, text, _ in all.append(text) }
    #expect(plain == ["w"])
    #expect(all == ["w", "@_metadata..version"])
  }

  @Test func everyLeafIsFoundByItsPath() throws {
    let root = try tree()
    var leaves: [(path: TreePath, text: String)] = []
    try root.forEachLeaf { path, text, _ in leaves.append((path, text)) }
    for leaf in leaves { #expect(try root.find(leaf.text) == leaf.path) }
    #expect(try root.find("").steps.isEmpty)
    #expect(try root.find("model").text == "model")
  }

  @Test func ambiguousPathListsTheCandidates() throws {
    let root = Make.dict(["a": Make.dict(["b": .int(1)]), "a.b": .int(2)])
    let error = #expect(throws: CheckpointError.self) { try root.find("a.b") }
    #expect(error?.code == .usage)
    #expect(error?.message.contains("['a']['b']") == true)
    #expect(error?.message.contains("['a.b']") == true)
  }

  @Test func unknownPathNamesNearMisses() throws {
    let root = try tree()
    let error = #expect(throws: CheckpointError.self) { try root.find("model.fc.wieght") }
    #expect(error?.advice?.contains("'model.fc.weight'") == true)
  }

  @Test func normalisationFormsAreTwoNames() throws {
    let root = Make.dict(["\u{E9}": .int(1), "e\u{301}": .int(2)])
    let path = try root.find("e\u{301}")
    guard case .int(2)? = root[path] else {
      Issue.record("found the other spelling")
      return
    }
  }

  @Test func deepTreesCostNoStack() throws {
    var value = Value.int(1)
    for _ in 0..<2000 { value = .sequence(.list, [value]) }
    var leaves = 0
    try value.forEachLeaf { path, _, _ in leaves += path.steps.count }
    #expect(leaves == 2000)
  }
}
