import HDF5
import Testing

@Suite struct AttributeTests {
  static let values: [AttributeValue] = [
    .empty, .bool(true), .bool(false), .int(0), .int(.min), .int(.max), .uint(.max), .double(0.1), .double(-.infinity),
    .string("x"), .string("größer\n"), .string("  spaces  "), .bools([true, false]), .bools([]), .ints([]),
    .ints([1, -2, .max]), .doubles([0.5]), .doubles([]), .strings(["a", "", "ccc"]), .strings([]), .strings([""]),
    .raw(type: .float32, shape: .simple([1, 2]), bytes: [0, 0, 128, 63, 0, 0, 0, 64]),
    .raw(type: .complex64, shape: .scalar, bytes: [1, 2, 3, 4, 5, 6, 7, 8]),
    .raw(type: .opaque(bytes: 2, tag: "t"), shape: .simple([2]), bytes: [1, 2, 3, 4]),
  ]

  @Test(arguments: values) func valueSurvives(_ value: AttributeValue) throws {
    let scratch = try Scratch()
    do {
      let file = try File.create(scratch.path())
      let root = try file.root()
      try root.writeAttribute("a", value)
      try root.createDataset("d", type: .int8, shape: .scalar).writeAttribute("a/b", value)
      try file.close()
    }
    let file = try File.open(scratch.path(), .readOnly)
    let root = try file.root()
    let onGroup = try root.readAttribute("a")
    #expect(onGroup == value)
    let onDataset = try root.openDataset("d").readAttribute("a/b")
    #expect(onDataset == value)
  }

  @Test func integersAndFloatsOfAnyFormAreRead() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    func check(_ type: Datatype, _ shape: Shape, _ bytes: [UInt8], _ expected: AttributeValue) throws {
      let name = "\(type) \(shape)"
      try root.writeAttribute(name, .raw(type: type, shape: shape, bytes: bytes))
      let read = try root.readAttribute(name)
      #expect(read == expected, "\(name)")
    }
    try check(.int8, .scalar, [0xFF], .int(-1))
    try check(.integer(bytes: 4, signed: true, bigEndian: true), .scalar, [0xFF, 0xFF, 0xFF, 0xFE], .int(-2))
    try check(.uint64, .scalar, [1, 0, 0, 0, 0, 0, 0, 0], .int(1))
    try check(.uint16, .simple([2]), [1, 0, 0xFF, 0xFF], .ints([1, 65535]))
    try check(.float16, .scalar, [0, 0x3C], .double(1))
    try check(.bfloat16, .simple([2]), [0x80, 0x3F, 0x00, 0xC0], .doubles([1, -2]))
    try check(.float(.float32.withBigEndian(true)), .scalar, [0x3F, 0x80, 0, 0], .double(1))
    let beyond = [UInt8](repeating: 0xFF, count: 8)
    try check(.uint64, .simple([1]), beyond, .raw(type: .uint64, shape: .simple([1]), bytes: beyond))
    try check(.bool, .scalar, [2], .raw(type: .bool, shape: .scalar, bytes: [2]))
  }

  @Test func textOfAnyPaddingIsRead() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    for (padding, bytes, expected) in [
      (Datatype.StringPadding.nullTerminated, [0x61, 0x62, 0, 0x63], "ab"),
      (.nullPadded, [0x61, 0x62, 0, 0], "ab"), (.spacePadded, [0x61, 0x20, 0x62, 0x20], "a b"),
    ] as [(Datatype.StringPadding, [UInt8], String)] {
      let type = Datatype.fixedString(bytes: 4, utf8: false, padding: padding)
      try root.writeAttribute("\(padding)", .raw(type: type, shape: .scalar, bytes: bytes))
      let read = try root.readAttribute("\(padding)")
      #expect(read == .string(expected))
    }
    let latin = AttributeValue.raw(
      type: .fixedString(bytes: 2, utf8: true, padding: .nullPadded), shape: .scalar, bytes: [0x61, 0xE4])
    try root.writeAttribute("latin", latin)
    let read = try root.readAttribute("latin")
    #expect(read == latin)
  }

  @Test func namesComeInOrderOfCreation() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    let names = (0..<70).map { "n\(70 - $0)" }
    for name in names { try root.writeAttribute(name, .int(1)) }
    let dataset = try root.createDataset("d", type: .int8, shape: .scalar)
    for name in ["z", "a", "ü"] { try dataset.writeAttribute(name, .bool(true)) }
    let onGroup = try root.attributeNames()
    #expect(onGroup == names)
    let onDataset = try dataset.attributeNames()
    #expect(onDataset == ["z", "a", "ü"])
  }

  @Test func attributesAreLookedUpRemovedAndNotReplaced() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    try root.writeAttribute("a", .int(1))
    let taken = try failure { () throws(HDF5Error) in try root.writeAttribute("a", .int(2)) }
    #expect(taken.kind == .exists, "\(taken)")
    #expect(try root.hasAttribute("a") == true)
    try root.removeAttribute("a")
    #expect(try root.hasAttribute("a") == false)
    let missing = try failure { () throws(HDF5Error) in _ = try root.readAttribute("a") }
    #expect(missing.kind == .notFound)
    #expect(missing.description == "\(scratch.path()): cannot read attribute \"a\": there is no such attribute")
    try root.writeAttribute("a", .int(2))
    let value = try root.readAttribute("a")
    #expect(value == .int(2))
  }

  @Test func textThatWouldChangeIsRefused() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    for value in [AttributeValue.string(""), .string("a\0b"), .strings(["a", "\0"])] {
      #expect(try failure { () throws(HDF5Error) in try root.writeAttribute("a", value) }.kind == .unsupported)
    }
    for name in ["", "a\0"] { #expect(throws: HDF5Error.self) { try root.writeAttribute(name, .int(1)) } }
    let names = try root.attributeNames()
    #expect(names.isEmpty)
  }

  @Test(arguments: [0, 1, 100_000, 1_000_000]) func listsOfUInt32Survive(_ count: Int) throws {
    let scratch = try Scratch()
    let values = (0..<UInt32(count)).map { $0 &* 2_654_435_761 }
    do {
      let file = try File.create(scratch.path())
      let root = try file.root()
      try root.writeAttribute("before", .int(1))
      try root.createDataset("d", type: .int8, shape: .scalar).writeAttribute("order", values)
      try root.writeAttribute("order", values)
      try file.close()
    }
    let file = try File.open(scratch.path(), .readOnly)
    let root = try file.root()
    let read = try root.readUInt32Attribute("order")
    #expect(read == values)
    let onDataset = try root.openDataset("d").readUInt32Attribute("order")
    #expect(onDataset == values)
    let before = try root.readAttribute("before")
    #expect(before == .int(1))
    #expect(throws: HDF5Error.self) { _ = try root.readUInt32Attribute("before") }
  }

  @Test func attributesAbove16MiBAreNotRead() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    try root.writeAttribute("big", [UInt32](repeating: 1, count: (4 << 20) + 1))
    #expect(try failure { () throws(HDF5Error) in _ = try root.readAttribute("big") }.kind == .unsupported)
  }
}
