import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 5.
@Suite struct ValueClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  private func text(_ width: Int) -> Datatype { .fixedString(bytes: width, utf8: true, padding: .nullPadded) }

  /// The value as it lies in the file, after it has been seen to come back as it was.
  private func stored(_ value: Value) throws -> Survey.Node {
    let file = try surveyed(dict(("v", value)), folder)
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, dict(("v", value))))
    return try file.node("v")
  }

  private func expect(
    _ value: Value, is encoding: String, _ type: Datatype, _ shape: Shape, _ bytes: [UInt8],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let node = try stored(value)
    #expect(node.attributes == ["encoding-type": .string(encoding)], sourceLocation: sourceLocation)
    #expect(node.type == type, sourceLocation: sourceLocation)
    #expect(node.shape == shape, sourceLocation: sourceLocation)
    #expect(node.bytes == bytes, sourceLocation: sourceLocation)
  }

  /// VAL-1: everything but a tensor says what it is.
  @Test func everyObjectHasAnEncoding() throws {
    let file = try surveyed(dict(("t", try trainingTree()), ("o", try oddTree())), folder)
    for path in file.paths {
      let node = try file.node(path)
      #expect((node.encoding == nil) != (node.text("dtype") == nil), "\(path)")
    }
  }

  /// VAL-1: what other programs add is a dict, or a tensor of the type that it has.
  @Test func objectsWithoutAnEncodingAreRead() throws {
    try craft(path) { root in
      let group = try root.createGroup("g")
      try group.put("w", .float32, .simple([2]), littleEndian([Float(1), 2]), [:])
      try group.put("n", .int64, .scalar, littleEndian([Int64(5)]), [:])
    }
    let read = try NativeFormat.read(path)
    let five = Value.tensor(try Tensor(dtype: .int64, shape: [], source: BufferSource(elements: [Int64(5)])))
    #expect(try sameContent(read.root, dict(("g", dict(("w", try tensor([1, 2], [2])), ("n", five))))))
    #expect(read.warnings.contains { $0.contains("/g/w has no dtype attribute") })
    try craft(path) { try $0.put("s", text(2), .scalar, [65, 66], [:]) }
    #expect(refusal(path).contains("without dtype or encoding-type"))
  }

  /// VAL-2
  @Test func scalarsAreSmallDatasets() throws {
    try expect(.none, is: "none", .uint8, .null, [])
    try expect(.bool(true), is: "bool", .bool, .scalar, [1])
    try expect(.bool(false), is: "bool", .bool, .scalar, [0])
    try expect(.int(-2), is: "int", .int64, .scalar, littleEndian([Int64(-2)]))
    try expect(.double(-0.0), is: "float", .float64, .scalar, [0, 0, 0, 0, 0, 0, 0, 0x80])
    try expect(.complex(1, -2), is: "complex", .complex128, .scalar, littleEndian([1.0, -2.0]))
    let big = "-12345678901234567890123"
    try expect(.bigInt(try unwrapped(BigInt(decimal: big))), is: "big-int", text(24), .scalar, Array(big.utf8))
  }

  /// VAL-3
  @Test func textIsTextWhereTextCanBe() throws {
    try expect(.string("héllo"), is: "string", text(6), .scalar, Array("héllo".utf8))
    try expect(.string(""), is: "string", .uint8, .simple([0]), [])
    try expect(.string("a\0"), is: "string", .uint8, .simple([2]), [97, 0])
    try expect(.surrogateString([0xED, 0xA0, 0x80]), is: "string", .uint8, .simple([3]), [0xED, 0xA0, 0x80])
    try expect(.bytes([1, 0]), is: "bytes", .uint8, .simple([2]), [1, 0])
    try expect(.bytes([]), is: "bytes", .uint8, .simple([0]), [])
    try expect(.byteArray([9]), is: "bytearray", .uint8, .simple([1]), [9])
  }

  /// VAL-3: bytes that are no text, lone surrogates or not, make no text that another format could hold.
  @Test func textThatIsNoneIsRefused() throws {
    for bytes: [UInt8] in [[0xFF], [0xED, 0xA0, 0x80, 0xC3], [0xED, 0xA0]] {
      try craft(path) { root in
        try root.put("v", .uint8, .simple([bytes.count]), bytes, ["encoding-type": .string("string")])
      }
      #expect(refusal(path).contains("UTF-8"), "\(bytes)")
    }
  }

  /// VAL-3, HDF-5: padding is no part of a text that another writer padded.
  @Test func paddingOfTextIsTakenOff() throws {
    try craft(path) { try $0.put("s", text(5), .scalar, [65, 66, 0, 0, 0], ["encoding-type": .string("string")]) }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, dict(("s", .string("AB")))))
  }

  /// VAL-4: one column where all items are of one simple type, a group of the items else.
  @Test(
    arguments: [("list", .list), ("tuple", .tuple), ("set", .set), ("frozenset", .frozenset)]
      as [(String, Value.Sequence)])
  func sequencesAreColumnsOrGroups(name: String, kind: Value.Sequence) throws {
    try expect(.sequence(kind, [.bool(true), .bool(false)]), is: name, .bool, .simple([2]), [1, 0])
    try expect(.sequence(kind, [.int(1), .int(-1)]), is: name, .int64, .simple([2]), littleEndian([Int64(1), -1]))
    try expect(.sequence(kind, [.double(1.5)]), is: name, .float64, .simple([1]), littleEndian([1.5]))
    try expect(
      .sequence(kind, [.string("ab"), .string(""), .string("c")]), is: name, text(2), .simple([3]),
      [97, 98, 0, 0, 99, 0])
    try expect(.sequence(kind, [.string("")]), is: name, text(1), .simple([1]), [0])
    for items: [Value] in [[], [.int(1), .double(1)], [.string("a\0")], [.none], [.sequence(kind, [])]] {
      let node = try stored(.sequence(kind, items))
      #expect(node.encoding == name)
      #expect(node.links?.count == items.count)
    }
  }

  /// VAL-4, VAL-8: text that would mostly be padding is a group; a column is never packed.
  @Test func aColumnMustBeWorthItsSpace() throws {
    let short = [Value](repeating: .string("a"), count: 99)
    #expect(try stored(.sequence(.list, short + [.string(String(repeating: "b", count: 20_000))])).links?.count == 100)
    #expect(
      try stored(.sequence(.list, short + [.string(String(repeating: "b", count: 10_000))])).shape == .simple([100]))
    #expect(try stored(.sequence(.list, (0..<1000).map { .int($0) })).type == .int64)
  }

  /// VAL-5
  @Test func dictionariesSayTheirKind() throws {
    let one = [Dict.Entry(.string("a"), .int(1))]
    let kinds: [(Dict.Kind, [String: AttributeValue])] = [
      (.plain, [:]), (.ordered, ["kind": .string("OrderedDict")]), (.counter, ["kind": .string("Counter")]),
      (.defaultDict(factory: ""), ["kind": .string("defaultdict")]),
      (.defaultDict(factory: "builtins.list"), ["kind": .string("defaultdict"), "factory": .string("builtins.list")]),
    ]
    for (kind, expected) in kinds {
      var attributes = try stored(.dict(Dict(one, kind: kind))).attributes
      #expect(attributes.removeValue(forKey: "encoding-type") == .string("dict"))
      #expect(attributes == expected)
    }
    let metadata = dict(("", dict(("version", .int(1)))), kind: .ordered)
    let node = try stored(
      .dict(Dict(one, attributes: [Record.Field("_metadata", metadata), Record.Field("n", .double(1))])))
    let json = #"{"_metadata":{"%dict":["OrderedDict","",[["",{"version":1}]],[]]},"n":1.0}"#
    #expect(node.text("attributes") == json)
  }

  /// VAL-6
  @Test func sizesAndTokensAreDatasets() throws {
    try expect(.size([2, -1]), is: "torch.Size", .int64, .simple([2]), littleEndian([Int64(2), -1]))
    try expect(.size([]), is: "torch.Size", .int64, .simple([0]), [])
    for (token, name) in [
      (.dtype, "torch.dtype"), (.device, "torch.device"), (.layout, "torch.layout"), (.qscheme, "torch.qscheme"),
      (.global, "python.global"),
    ] as [(Value.Token, String)] {
      try expect(.token(token, "abc"), is: name, text(3), .scalar, Array("abc".utf8))
    }
  }

  /// VAL-7: a record of any type is its fields.
  @Test func recordsOfUnknownTypesAreKept() throws {
    let record = Record("no.such.Type", [Record.Field("b/c", try tensor([1], [1])), Record.Field("", .int(1))])
    let node = try stored(.record(record))
    #expect(node.encoding == "record")
    #expect(node.text("type") == "no.such.Type")
    #expect(node.links == ["b%2Fc", "%"])
  }

  /// VAL-8: from 129 children on, a container without tensors is packed; one with a tensor never is.
  @Test func largeContainersArePacked() throws {
    func entries(_ count: Int) -> [Dict.Entry] { (0..<count).map { Dict.Entry(.string("k\($0)"), .int(Int64($0))) } }
    #expect(try stored(.dict(Dict(entries(128)))).links?.count == 128)
    let packed = try stored(.dict(Dict(entries(129))))
    #expect(packed.attributes == ["encoding-type": .string("json")])
    #expect(packed.type == .uint8)
    #expect(packed.bytes == Array("{\((0..<129).map { "\"k\($0)\":\($0)" }.joined(separator: ","))}".utf8))
    #expect(try stored(.sequence(.tuple, [.none] + (0..<128).map { .int($0) })).encoding == "json")
    #expect(try stored(.record(Record("r", (0..<129).map { Record.Field("f\($0)", .none) }))).encoding == "json")
    let tensor = Dict.Entry(.string("t"), try tensor([1], [1]))
    #expect(try stored(.dict(Dict(entries(200) + [tensor]))).links?.count == 201)
    let long = Dict([Dict.Entry(.string(String(repeating: "x", count: 60_001)), .int(1))])
    #expect(try stored(.dict(long)).encoding == "json")
  }

  /// VAL-9: the JSON of every value that JSON has no type for.
  @Test func packedJSONIsTyped() throws {
    let big = try unwrapped(BigInt(decimal: "18446744073709551616"))
    let odd = Dict(
      [Dict.Entry(.int(1), .none)], kind: .defaultDict(factory: "f"), attributes: [Record.Field("a", .int(2))])
    let values: [(Value, String)] = [
      (.none, "null"), (.bool(true), "true"), (.int(.min), "-9223372036854775808"), (.double(1), "1.0"),
      (.double(1e300), "1e+300"), (.double(-0.0), "-0.0"), (.string("a\"\u{1}é"), #""a\"\u0001é""#),
      (.sequence(.list, [.int(1), .sequence(.list, [])]), "[1,[]]"), (dict(("a", .int(1))), #"{"a":1}"#),
      (.bigInt(big), #"{"%int":"18446744073709551616"}"#), (.double(-.infinity), #"{"%double":"fff0000000000000"}"#),
      (.complex(1, -0.5), #"{"%complex":[1.0,-0.5]}"#),
      (.surrogateString([0xED, 0xA0, 0x80]), #"{"%surrogates":"eda080"}"#),
      (.bytes([10]), #"{"%bytes":"0a"}"#), (.byteArray([]), #"{"%bytearray":""}"#),
      (.sequence(.tuple, [.none]), #"{"%tuple":[null]}"#), (.sequence(.set, [.int(1)]), #"{"%set":[1]}"#),
      (.sequence(.frozenset, []), #"{"%frozenset":[]}"#), (.size([3]), #"{"%size":[3]}"#),
      (.token(.device, "cpu"), #"{"%token":["torch.device","cpu"]}"#),
      (.record(Record("t", [Record.Field("f", .int(1))])), #"{"%record":["t",[["f",1]]]}"#),
      (dict(("%x", .int(1))), #"{"%dict":["dict","",[["%x",1]],[]]}"#),
      (.dict(odd), #"{"%dict":["defaultdict","f",[[1,null]],[["a",2]]]}"#),
    ]
    let filler = [Value](repeating: .none, count: 128)
    for (value, json) in values {
      let node = try stored(.sequence(.list, filler + [value]))
      #expect(String(decoding: node.bytes, as: UTF8.self) == "[" + String(repeating: "null,", count: 128) + json + "]")
    }
    for wrong in [
      #"{"%int":1}"#, #"{"%nonsense":1}"#, #"{"%bytes":"0"}"#, #"{"%surrogates":"ff"}"#, #"{"a":1,"%int":"1"}"#, "NaN",
      "[1,]", "1 2",
    ] {
      try craft(path) { root in
        try root.put("v", .uint8, .simple([wrong.utf8.count]), Array(wrong.utf8), ["encoding-type": .string("json")])
      }
      #expect(refusal(path) != "", "\(wrong)")
    }
  }

  /// VAL-10
  @Test func tensorsAmongAttributesMakeARecord() throws {
    let attributes = [Record.Field("w", try tensor([1], [1])), Record.Field("n", .int(1))]
    let node = try stored(.dict(Dict([Dict.Entry(.string("a"), .int(1))], kind: .ordered, attributes: attributes)))
    #expect(node.encoding == "record")
    #expect(node.text("type") == "python.dict_with_attributes")
    #expect(node.links == ["dict", "w", "n"])
    #expect(try Survey(path).node("v/dict").text("kind") == "OrderedDict")
  }
}
