import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Sections 4 and 6.
@Suite struct NameClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  /// NAME-1, NAME-2: the link of each string that is hard to store. Letters that look alike stay apart.
  @Test func stringKeysAreLinksOfTheSameBytes() throws {
    let names = [
      ("", "%"), (".", "%2E"), ("..", "%2E."), ("...", "..."), ("a/b", "a%2Fb"), ("/", "%2F"), ("%", "%25"),
      ("a%2Fb", "a%252Fb"), ("%=5", "%25=5"), ("nul\0name", "nul%00name"), ("\u{E9}", "\u{E9}"),
      ("e\u{301}", "e\u{301}"), ("😀", "😀"), (" ", " "), ("model.0.weight", "model.0.weight"), ("0", "0"),
    ]
    let tree = Value.dict(Dict(names.map { Dict.Entry(.string($0.0), .string($0.1)) }))
    let file = try surveyed(tree, folder)
    #expect(try file.node("").links?.map { Array($0.utf8) } == (names.map(\.1) + ["manifest"]).map { Array($0.utf8) })
    for (_, link) in names { #expect(try file.node(link).texts == [link]) }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
  }

  /// NAME-3: an escape stands for its byte wherever it is; what is no escape is refused.
  @Test func anyEscapeIsRead() throws {
    try craft(path) { root in
      for link in ["%61bc", "%C3%a9", "%6Danifest"] { try root.putInt(link, 1) }
    }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, dict(("abc", .int(1)), ("\u{E9}", .int(1)), ("manifest", .int(1)))))
    for link in ["%G1", "a%2", "50%", "%C3"] {
      try craft(path) { try $0.putInt(link, 1) }
      #expect(refusal(path).contains("the link name \"\(link)\""))
    }
  }

  /// NAME-4: other keys are `%=` and packed JSON.
  @Test func keysThatAreNoStringsArePackedJSON() throws {
    let keys: [(Key, String)] = [
      (.int(-5), "%=-5"), (.bool(true), "%=true"), (.none, "%=null"), (.double(0.5), "%=0.5"), (.double(2), "%=2.0"),
      (.double(.infinity), "%={\"%25double\":\"7ff0000000000000\"}"),
      (.tuple([.int(1), .string("x/y")]), "%={\"%25tuple\":[1,\"x%2Fy\"]}"),
      (.bytes([0, 255]), "%={\"%25bytes\":\"00ff\"}"),
      (.surrogateString([0xED, 0xA0, 0x80]), "%={\"%25surrogates\":\"eda080\"}"),
      (.token(.dtype, "float32"), "%={\"%25token\":[\"torch.dtype\",\"float32\"]}"),
      (.bigInt(try unwrapped(BigInt(decimal: "99999999999999999999"))), "%={\"%25int\":\"99999999999999999999\"}"),
    ]
    let tree = Value.dict(Dict(keys.map { Dict.Entry($0.0, .none) }))
    let file = try surveyed(tree, folder)
    #expect(try file.node("").links == keys.map(\.1) + ["manifest"])
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
  }

  /// NAME-4: where all keys are integers they stand bare.
  @Test func integerKeysStandBare() throws {
    let tree = Value.dict(
      Dict([Dict.Entry(.int(7), .int(1)), Dict.Entry(.int(-5), .int(2)), Dict.Entry(.int(.min), .none)]))
    let file = try surveyed(dict(("d", tree)), folder)
    #expect(try file.node("d").text("keys") == "int")
    #expect(try file.node("d").links == ["7", "-5", "-9223372036854775808"])
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, dict(("d", tree))))
    for link in ["07", "x", "1.0", "9223372036854775808"] {
      try craft(path) { root in
        try root.writeAttribute("keys", .string("int"))
        try root.putInt(link, 1)
      }
      #expect(refusal(path).contains("should be an integer"))
    }
    // Another writer may leave the attribute out.
    try craft(path) { try $0.putInt("%=12", 1) }
    let bare = try NativeFormat.read(path)
    #expect(try sameContent(bare.root, .dict(Dict([Dict.Entry(.int(12), .int(1))]))))
  }

  /// NAME-5
  @Test func itemsAreNumberedWithoutGaps() throws {
    let items = (0..<12).map { _ in dict() }
    let file = try surveyed(dict(("l", .sequence(.list, items))), folder)
    #expect(try file.node("l").links == (0..<12).map(String.init))
    for (links, words) in [(["0", "2"], "element 1 of 2"), (["0", "01"], "no index"), (["0", "x"], "no index")] {
      try craft(path) { root in
        try root.putGroup("l", "list") { list in for link in links { try list.putInt(link, 1) } }
      }
      #expect(refusal(path).contains(words))
    }
    // Their names count, not their order in the file.
    try craft(path) { root in
      try root.putGroup("l", "tuple") { list in for link in [2, 0, 1] { try list.putInt(String(link), Int64(link)) } }
    }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, dict(("l", .sequence(.tuple, [.int(0), .int(1), .int(2)])))))
  }

  /// ORD-1: links come in the order of the tree, and groups keep it.
  @Test func linksAreCreatedInTheOrderOfTheTree() throws {
    let tree = dict(("b", .int(1)), ("a", dict(("z", .int(1)), ("y", .int(2)))), ("c", .int(3)))
    let file = try surveyed(tree, folder)
    #expect(try file.node("").links == ["b", "a", "c", "manifest"])
    #expect(try file.node("a").links == ["z", "y"])
  }

  /// ORD-2: the attribute says it too, by the rank of the links' bytes: "Z" before "a", "é" after "z".
  @Test func theOrderAttributeHoldsRanks() throws {
    let record = Record("t", [Record.Field("q", .none), Record.Field("p", .none)])
    let tree = dict(
      ("\u{E9}", .int(1)), ("a", .record(record)), ("z", .int(1)), ("Z", dict(("one", .int(1)))), ("e\u{301}", .int(1)),
      ("list", .sequence(.list, [.none, .none])))
    let file = try surveyed(tree, folder)
    #expect(try file.node("").order == [5, 1, 4, 0, 2, 3])
    #expect(try file.node("a").order == [1, 0])
    #expect(try file.node("Z").order == nil)
    #expect(try file.node("list").order == nil)
  }

  /// ORD-3: `order` before creation order, where it is a permutation of as many entries as there are.
  @Test(
    arguments: [
      ([1, 2, 0], "bca"), ([], "cab"), ([1, 0], "cab"), ([0, 0, 1], "cab"), ([0, 1, 3], "cab"), ([0, 1, 2, 3], "cab"),
    ] as [([UInt32], String)])
  func orderIsTakenWhereItFits(order: [UInt32], expected: String) throws {
    try craft(path) { root in
      for name in ["c", "a", "b"] { try root.putInt(name, 1) }
      if !order.isEmpty { try root.writeAttribute("order", order) }
    }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, .dict(Dict(expected.map { Dict.Entry(.string(String($0)), .int(1)) }))))
  }

  /// ORD-3, MAN-4: a link that another program added makes `order` stale; the file is still read.
  @Test func anAddedLinkIsReadInCreationOrder() throws {
    try NativeFormat.write(dict(("b", .int(1)), ("a", .int(2))), to: path)
    try edit(path) { try $0.putInt("0", 3) }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, dict(("b", .int(1)), ("a", .int(2)), ("0", .int(3)))))
    #expect(read.warnings.count == 1)
  }
}
