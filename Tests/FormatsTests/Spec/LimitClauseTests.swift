import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 13: what is on the limit is written and read, what is beyond it refused by both.
@Suite struct LimitClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  /// What writing a tree fails with; empty where it does not, and what is read is the same.
  private func writing(_ tree: Value) throws -> String {
    do throws(CheckpointError) {
      try NativeFormat.write(tree, to: path, options: replacing)
    } catch {
      return "\(error)"
    }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
    #expect(problems(path) == [])
    return ""
  }

  private func nested(_ value: Value, _ levels: Int) -> Value {
    (0..<levels).reduce(value) { value, _ in dict(("g", value), ("n", .int(1))) }
  }

  /// LIM-1
  @Test func groupsLieAtMost64LevelsDeep() throws {
    let one = try tensor([1], [1])
    #expect(try writing(nested(one, 65)) == "")  // the outermost is the root itself
    #expect(try writing(nested(one, 66)).contains("more than 64 levels deep"))
    let adam = optimizer([(.string("w"), dict(("m", one)))], [group([.string("w")])])
    #expect(try writing(nested(adam, 62)) == "")
    #expect(try Survey(path).paths.contains { $0.hasSuffix("g/param_groups/0") })
    #expect(try writing(nested(adam, 63)).contains("more than 64 levels deep"))
    func nest(_ group: borrowing Group, _ levels: Int) throws {
      if levels > 0 { try nest(try group.createGroup("g"), levels - 1) }
    }
    try craft(path) { try nest($0, 64) }
    #expect(refusal(path) == "")
    try craft(path) { try nest($0, 65) }
    #expect(refusal(path).contains("more than 64 levels deep"))
  }

  /// LIM-1: packed JSON has a limit of its own, which the writer keeps.
  @Test func packedJSONLiesAtMost255LevelsDeep() throws {
    func packed(_ levels: Int) -> Value {
      let deep = (1..<levels).reduce(Value.int(1)) { value, _ in .sequence(.list, [value, .none]) }
      return dict(("v", .sequence(.list, [Value](repeating: .none, count: 128) + [deep])))
    }
    #expect(try writing(packed(255)) == "")
    #expect(try writing(packed(256)).contains("more than 255 levels deep"))
  }

  /// LIM-2: whatever the name names.
  @Test func linkNamesHaveAtMost60000Bytes() throws {
    let (fits, long) = (String(repeating: "é", count: 30_000), String(repeating: "x", count: 60_001))
    let escaped = String(repeating: "/", count: 20_001)
    let one = try tensor([1], [1])
    #expect(try writing(dict((fits, one))) == "")
    for name in [long, escaped] {
      #expect(try writing(dict((name, one))).contains("at most 60000 can be stored"))
      #expect(try writing(.record(Record("r", [Record.Field(name, one)]))).contains("at most 60000 can be stored"))
      let adam = optimizer([(.string(name), dict(("m", one)))], [group([.string(name)])])
      #expect(try writing(adam).contains("at most 60000 can be stored"))
    }
  }

  /// LIM-3
  @Test func tensorsHaveAtMost32Dimensions() throws {
    func ones(_ rank: Int, _ dtype: DType) throws -> Value {
      let shape = [Int](repeating: 1, count: rank)
      return dict(("t", .tensor(try Tensor(dtype: dtype, shape: shape, source: BufferSource([1])))))
    }
    for dtype in [DType.int8, .int4] {
      #expect(try writing(ones(32, dtype)) == "")
      #expect(try writing(ones(33, dtype)).contains("33 dimensions"))
    }
    try craft(path) { root in
      let shape = AttributeValue.ints([Int64](repeating: 1, count: 33))
      try root.put("t", .uint8, .simple([1]), [1], ["dtype": .string("int4"), "shape": shape])
    }
    #expect(refusal(path).contains("33 dimensions"))
  }

  /// LIM-4: with a limit small enough to try.
  @Test func objectsAreCounted() throws {
    let tree = dict(("a", .int(1)), ("b", dict(("c", .none))), ("d", .none))
    try NativeFormat.write(tree, to: path)
    for limit in [3, 4] {
      let file = try NativeFile(path)
      var reader = TreeReader(file: file.mapped, manifest: nil, maximumObjects: limit)
      let value = try? reader.read(file.root(), at: file.location)
      #expect((value != nil) == (limit == 4))
      let output = try File.create(folder.file("y.h5"), truncating: true)
      var builder = TreeBuilder(tree, maximumObjects: limit)
      let built: Void? = try? builder.build(tree, at: .file, in: try output.root())
      #expect((built != nil) == (limit == 4))
      try output.close()
    }
    #expect(Vocabulary.maximumObjects == 4_000_000)
  }

  /// LIM-5: in a file that has the bytes, but on no disk.
  @Test func valuesHaveAtMostAGibibyte() throws {
    for encoding in ["bytes", "json", "list"] {
      try craft(path) { root in
        let dataset = try root.createDataset("v", type: .uint8, shape: .simple([1 << 30 + 1]))
        try dataset.writeAttribute("encoding-type", .string(encoding))
      }
      #expect(refusal(path).contains("a value of \(1 << 30 + 1) bytes"))
    }
  }

  /// LIM-6: read as it is, written with a limit small enough to try.
  @Test func attributesHaveAtMost16MiB() throws {
    let text = String(repeating: "x", count: (16 << 20) + 1)
    try craft(path) { root in try root.putGroup("d", "dict") { try $0.writeAttribute("attributes", .string(text)) } }
    #expect(refusal(path).contains("more than 16777216 bytes"))
    let megabyte = Record.Field("a", .string(String(repeating: "x", count: 1 << 20)))
    #expect(try writing(.dict(Dict([], attributes: [megabyte]))) == "")
    let tree = Value.dict(Dict([], attributes: [Record.Field("a", .string("1234567"))]))  // {"a":"1234567"}
    for limit in [14, 15] {
      let output = try File.create(folder.file("y.h5"), truncating: true)
      var builder = TreeBuilder(tree, maximumAttributeBytes: limit)
      let built: Void? = try? builder.build(tree, at: .file, in: try output.root())
      #expect((built != nil) == (limit == 15))
      try output.close()
    }
    #expect(Vocabulary.maximumAttributeBytes == 16 << 20)
  }

  /// LIM-7
  @Test func integersHaveAtMost4300Digits() throws {
    func digits(_ count: Int) throws {
      let type = Datatype.fixedString(bytes: count, utf8: true, padding: .nullPadded)
      let nines = [UInt8](repeating: 0x39, count: count)
      try craft(path) { try $0.put("n", type, .scalar, nines, ["encoding-type": .string("big-int")]) }
    }
    try digits(4300)
    guard case .bigInt(let largest)? = try NativeFormat.read(path).root.value("n") else { throw Missing() }
    #expect(largest.bytes.count == 1786)
    #expect(!Value.bigInt(largest).holdsOversizedInteger)
    try digits(4301)
    #expect(refusal(path).contains("decimal number"))
    let powers = [1786, 2000].map { BigInt(twosComplement: [UInt8](repeating: 0, count: $0) + [1]) }
    #expect(try writing(dict(("n", .bigInt(powers[0])))).contains("more than 4300 digits"))  // it has 4302
    for tree in [.dict(Dict([Dict.Entry(.bigInt(powers[1]), .none)])), Value.sequence(.list, [.bigInt(powers[1])])] {
      #expect(try writing(tree).contains("more than 4300 digits"))
    }
  }
}
