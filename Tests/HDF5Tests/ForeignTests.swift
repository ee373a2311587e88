import HDF5
import Testing

/// A file made by h5py; `Tests/Fixtures/HDF5/make.py` tells what is in it.
@Suite struct ForeignTests {
  static let path =
    #filePath.split(separator: "/").dropLast(2).reduce("") { "\($0)/\($1)" } + "/Fixtures/HDF5/foreign.h5"

  private func withRoot<T>(_ path: String = path, _ body: (borrowing Group) throws -> T) throws -> T {
    let file = try File.open(path, .readOnly)
    return try body(try file.root())
  }

  @Test func linksWithoutKeptOrderComeByName() throws {
    let links = try withRoot { try $0.links() }
    #expect(links.map(\.name) == links.map(\.name).sorted())
    let kinds = Dictionary(uniqueKeysWithValues: links.map { ($0.name, $0.kind) })
    #expect(kinds["soft"] == .soft(target: "/a/b"))
    #expect(kinds["ext"] == .external(file: "other.h5", target: "/x"))
    #expect(links.first { $0.name == "type" }?.object?.kind == .namedType)
    #expect(links.first { $0.name == "latin" }?.object?.kind == .group)
  }

  @Test func aLinkNameThatIsNotUTF8IsAnError() throws {
    let error = try #require(throws: HDF5Error.self) { try withRoot { _ = try $0.openGroup("latin").links() } }
    #expect(error.kind == .unsupported)
    #expect(error.path == "/latin" && error.reason.contains("bad") && error.reason.contains("255"))
  }

  @Test func onlyHardLinksAreFollowed() throws {
    for name in ["soft", "ext"] {
      let error = try #require(throws: HDF5Error.self) { try withRoot { _ = try $0.openDataset(name) } }
      #expect(error.kind == .unsupported && error.path == "/\(name)")
    }
  }

  @Test(arguments: [
    ("bool", Datatype.bool), ("complex", .complex128), ("big", .integer(bytes: 2, signed: true, bigEndian: true)),
    ("opaque", .opaque(bytes: 3, tag: "")), ("text", .variableString(utf8: true)),
    ("compound", .other(description: "compound of 2 members", bytes: 7)),
    ("enum", .other(description: "enumeration of 1 values", bytes: 1)),
    ("sequences", .other(description: "variable-length sequence", bytes: 16)),
    ("long double", .other(description: "an unusual float of 16 bytes", bytes: 16)),
  ])
  func typesAreRecognised(_ name: String, _ expected: Datatype) throws {
    let type = try withRoot { try $0.openDataset(name).type }
    if case .opaque(3, _) = type, case .opaque = expected { return }
    #expect(type == expected)
  }

  @Test(arguments: ["external", "virtual", "lzf", "sequences", "text"])
  func dataThatIsNotPlainlyInTheFileIsNotRead(_ name: String) throws {
    try withRoot { root in
      let dataset = try root.openDataset(name)
      var bytes = [UInt8](repeating: 0, count: 1000)
      let error = bytes.withUnsafeMutableBytes { buffer in
        #expect(throws: HDF5Error.self) { try dataset.read(into: buffer) }
      }
      #expect(error?.kind == .unsupported)
    }
  }

  @Test func storageIsDescribed() throws {
    try withRoot { root in
      let compact = try root.openDataset("compact")
      #expect(try compact.layout == .compact)
      let values = try compact.readAll()
      #expect(values == [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])
      let late = try root.openDataset("late")
      #expect(try late.offset == nil)
      #expect(try late.storageSize == 0)
      #expect(try late.shape == .simple([1 << 40]))
      #expect(try root.openDataset("external").externalFileCount == 1)
      #expect(try root.openDataset("virtual").layout == .virtual)
      #expect(try root.openDataset("checked").filters.map(\.id) == [2, 1, 3])
    }
  }

  @Test func filteredChunksAreRead() throws {
    try withRoot { root in
      let values = try root.openDataset("checked").readAll()
      #expect(values == (0..<1000).map { UInt32($0) }.withUnsafeBytes { Array($0) })
      let odd = try root.openDataset("odd").readAll()
      #expect(odd == [UInt8](repeating: 255, count: 10001))
      let filled = try root.openDataset("filled").readAll()
      #expect(filled == [UInt32](repeating: 7, count: 10).withUnsafeBytes { Array($0) })
    }
  }

  @Test func attributesAreRead() throws {
    let expected: [(String, AttributeValue)] = [
      ("variable", .string("variable é")), ("variables", .strings(["a", "bc"])), ("empty", .string("")),
      ("fixed", .string("abc")), ("fixeds", .strings(["a", "bcd"])), ("int8", .int(-3)), ("half", .double(1.5)),
      ("bool", .bool(true)), ("null", .empty),
      ("matrix", .raw(type: .uint8, shape: .simple([2, 2]), bytes: [1, 0, 0, 1])),
    ]
    try withRoot { root in
      let group = try root.openGroup("attributes")
      for (name, value) in expected {
        let read = try group.readAttribute(name)
        #expect(read == value, "\(name)")
      }
      let names = try group.attributeNames()
      #expect(names == names.sorted() && names.count == 12)
      guard case .raw(_, _, let latin) = try group.readAttribute("latin") else {
        Issue.record("text that is not UTF-8 is raw")
        return
      }
      #expect(latin == [0x61, 0xE4])
      let error = try #require(throws: HDF5Error.self) { _ = try group.readAttribute("pairs") }
      #expect(error.kind == .unsupported)
    }
  }

  /// Sorted iteration of libhdf5 1.10 frees what it has not set when an index turns out to be damaged.
  @Test func aDamagedLinkIndexIsAnError() throws {
    let scratch = try Scratch()
    var bytes = try readFile(Self.path)
    bytes[35268] = 1
    bytes[35712] = 51
    try writeFile(scratch.path(), bytes)
    let error = try #require(throws: HDF5Error.self) { try withRoot(scratch.path()) { _ = try $0.links() } }
    #expect(error.reason.contains("checksum") && error.kind == .damaged, "\(error)")
  }

  /// libhdf5 1.10 trusts the length in the reference, and writes over the end of its buffer for a wrong one.
  @Test(arguments: [(3, "var"), (0, "")] as [(UInt8, String)])
  func aWrongLengthOfVariableTextIsHarmless(_ length: UInt8, _ text: String) throws {
    let scratch = try Scratch()
    try patchLength([length, 0, 0, 0], into: scratch.path())
    let value = try withRoot(scratch.path()) { try $0.openGroup("attributes").readAttribute("variable") }
    #expect(value == .string(text))
  }

  @Test func aTooLargeLengthOfVariableTextIsDamage() throws {
    let scratch = try Scratch()
    try patchLength([0xF0, 0xFF, 0xFF, 0xFF], into: scratch.path())
    let error = try #require(throws: HDF5Error.self) {
      try withRoot(scratch.path()) { _ = try $0.openGroup("attributes").readAttribute("variable") }
    }
    #expect(error.kind == .damaged)
  }

  /// Changes the length in the reference to "variable é", whose 11 bytes no other value has.
  private func patchLength(_ length: [UInt8], into path: String) throws {
    var bytes = try readFile(Self.path)
    let places = bytes.indices.dropLast(16).filter { place in
      guard bytes[place..<place + 4] == [11, 0, 0, 0] else { return false }
      let address = bytes[place + 4..<place + 12].reversed().reduce(0) { $0 << 8 | Int($1) & 0xFF }
      return address >= 0 && address < bytes.count - 4 && bytes[address..<address + 4].elementsEqual("GCOL".utf8)
    }
    #expect(places.count == 1)
    for place in places { bytes.replaceSubrange(place..<place + 4, with: length) }
    try writeFile(path, bytes)
  }
}
