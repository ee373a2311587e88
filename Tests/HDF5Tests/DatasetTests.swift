import HDF5
import Testing

@Suite struct DatasetTests {
  static let types: [Datatype] = [
    .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64,
    .integer(bytes: 2, signed: true, bigEndian: true), .integer(bytes: 8, signed: false, bigEndian: true),
    .float16, .bfloat16, .float32, .float64, .float(.float32.withBigEndian(true)),
    .float(.bfloat16.withBigEndian(true)), .float(FloatLayout(bytes: 1, exponentBits: 4)),
    .bool, .complex64, .complex128, .complex(.float16),
    .fixedString(bytes: 5, utf8: true, padding: .nullPadded),
    .fixedString(bytes: 1, utf8: false, padding: .nullTerminated),
    .fixedString(bytes: 9, utf8: false, padding: .spacePadded),
    .opaque(bytes: 3, tag: "blob"), .opaque(bytes: 1, tag: ""),
  ]

  @Test(arguments: types) func typeAndBytesSurvive(_ type: Datatype) throws {
    let scratch = try Scratch()
    let bytes = (0..<(6 * type.byteCount)).map { UInt8(truncatingIfNeeded: $0 % 2) }
    do {
      let file = try File.create(scratch.path())
      let dataset = try file.root().createDataset("x", type: type, shape: .simple([2, 3]))
      try dataset.write(bytes)
      try file.close()
    }
    let file = try File.open(scratch.path(), .readOnly)
    let again = try file.root().openDataset("x")
    let found = try again.type
    #expect(found == type)
    #expect(found.byteCount == type.byteCount)
    let read = try again.readAll()
    #expect(read == bytes)
  }

  @Test(arguments: [
    Shape.scalar, .simple([1]), .simple([0]), .simple([3, 0, 2]), .simple([2, 3, 4, 5]), .null,
    .simple(Array(repeating: 1, count: 32)),
  ])
  func shapeSurvives(_ shape: Shape) throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let dataset = try file.root().createDataset("x", type: .float32, shape: shape)
    let found = try dataset.shape
    #expect(found == shape)
    let offset = try dataset.offset
    #expect((offset == nil) == (shape.elementCount == 0))
    let read = try dataset.readAll()
    #expect(read.count == 4 * (shape.elementCount ?? -1))
  }

  @Test func elementCountIsNilOnOverflow() {
    #expect(Shape.simple([1 << 40, 1 << 40]).elementCount == nil)
    #expect(Shape.simple([1 << 40, 1 << 40, 0]).elementCount == 0)
    #expect(Shape.simple([1 << 61]).byteCount(elementBytes: 8) == nil)
    #expect(Shape.simple([2, 3]).byteCount(elementBytes: 8) == 48)
  }

  @Test func shapesThatCannotBeAreRefused() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    let manyDimensions = Array(repeating: 1, count: 33)
    for shape in [Shape.simple([]), .simple([-1]), .simple(manyDimensions), .simple([1 << 40, 1 << 40])] {
      #expect(throws: HDF5Error.self) { _ = try root.createDataset("x", type: .float32, shape: shape) }
    }
    let variable = try failure { () throws(HDF5Error) in
      _ = try root.createDataset("x", type: .variableString(utf8: true), shape: .scalar)
    }
    #expect(variable.kind == .unsupported)
    let count = try root.linkCount
    #expect(count == 0)
  }

  @Test func everyOffsetIsAlignedTo64Bytes() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    for index in 0..<300 {
      let dataset = try root.createDataset("\(index)", type: .uint8, shape: .simple([index * 37 % 5000 + 1]))
      let offset = try dataset.offset
      #expect(offset.map { $0 % 64 } == 0)
    }
  }

  @Test func pageAlignedDatasetsMixWithSmallOnes() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    var offsets: [UInt64] = []
    for index in 0..<60 {
      let small = try root.createDataset("s\(index)", type: .uint8, shape: .simple([index % 17 + 1]))
      try small.writeAttribute("note", .string("a little text"))
      let large = try root.createDataset(
        "l\(index)", type: .float32, shape: .simple([1 << 14, index % 3 + 1]), atPage: true)
      offsets.append(try #require(try large.offset))
      let smallOffset = try #require(try small.offset)
      #expect(smallOffset % 64 == 0)
    }
    #expect(offsets.allSatisfy { $0 % 4096 == 0 })
    let end = try file.endOfAllocation
    try file.close()
    #expect(try readFile(scratch.path()).count >= Int(end))
  }

  @Test func bytesWrittenAtTheOffsetAreTheData() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let dataset = try file.root().createDataset("x", type: .uint8, shape: .simple([5]))
    let offset = Int(try #require(try dataset.offset))
    try file.close()
    var bytes = try readFile(scratch.path())
    #expect(offset + 5 <= bytes.count)
    bytes.replaceSubrange(offset..<offset + 5, with: [9, 8, 7, 6, 5])
    try writeFile(scratch.path(), bytes)
    let again = try File.open(scratch.path(), .readOnly)
    let read = try again.root().openDataset("x").readAll()
    #expect(read == [9, 8, 7, 6, 5])
  }

  @Test func equalInputMakesEqualBytes() throws {
    let scratch = try Scratch()
    for name in ["a.h5", "b.h5"] {
      let file = try File.create(scratch.path(name))
      let group = try file.root().createGroup("g")
      for index in 0..<50 {
        let dataset = try group.createDataset("\(index)", type: .bfloat16, shape: .simple([index]))
        try dataset.writeAttribute("a", .string("text \(index)"))
        try dataset.write([UInt16](repeating: UInt16(index), count: index))
      }
      let large = try group.createDataset("p", type: .uint8, shape: .simple([100_000]), atPage: true)
      try large.write([UInt8](repeating: 7, count: 100_000))
      try file.close()
    }
    let bytes = try readFile(scratch.path("a.h5"))
    #expect(try readFile(scratch.path("b.h5")) == bytes)
    // Both files are of the same second, so look for the flag of an object header that has times, too.
    let headers = bytes.indices.dropLast(6).filter { bytes[$0..<$0 + 4].elementsEqual("OHDR".utf8) }
    #expect(headers.count == 53)
    #expect(headers.allSatisfy { bytes[$0 + 4] == 2 && bytes[$0 + 5] & 0x20 == 0 })
  }

  @Test func writeOfTheWrongSizeIsRefused() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let dataset = try file.root().createDataset("x", type: .float32, shape: .simple([4]))
    #expect(throws: HDF5Error.self) { try dataset.write([UInt8](repeating: 0, count: 15)) }
    var small = [UInt8](repeating: 0, count: 15)
    _ = small.withUnsafeMutableBytes { buffer in
      #expect(throws: HDF5Error.self) { try dataset.read(into: buffer) }
    }
  }

  @Test func aTakenNameIsRefused() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    _ = try root.createDataset("x", type: .float32, shape: .scalar)
    let again = try failure { () throws(HDF5Error) in _ = try root.createDataset("x", type: .int8, shape: .scalar) }
    #expect(again.kind == .exists)
    #expect(again.path == "/x")
    #expect(try failure { () throws(HDF5Error) in _ = try root.createGroup("x") }.kind == .exists)
  }
}

@Suite struct ChunkTests {
  private func make(_ path: String, deflate: Int?, shuffle: Bool) throws -> [UInt32] {
    let values = (0..<1000).map { UInt32($0 * 7 % 513) }
    let file = try File.create(path)
    let dataset = try file.root().createDataset(
      "x", type: .uint32, shape: .simple([100, 10]), chunks: [32, 4], deflateLevel: deflate, shuffle: shuffle)
    try dataset.write(values)
    try file.close()
    return values
  }

  @Test(arguments: [(nil, false), (6, true), (9, false), (nil, true)] as [(Int?, Bool)])
  func slabsOfCompressedDataAreRead(_ deflate: Int?, _ shuffle: Bool) throws {
    let scratch = try Scratch()
    let values = try make(scratch.path(), deflate: deflate, shuffle: shuffle)
    let file = try File.open(scratch.path(), .readOnly)
    let dataset = try file.root().openDataset("x")
    let layout = try dataset.layout
    #expect(layout == .chunked([32, 4]))
    let filters = try dataset.filters.map(\.id)
    #expect(filters == (shuffle ? [2] : []) + (deflate == nil ? [] : [1]))
    let offset = try dataset.offset
    #expect(offset == nil)
    for (start, count) in [([0], [100]), ([31], [2]), ([50, 3], [7, 6]), ([99], [1]), ([100], [0])] {
      let columns = count.count == 2 ? start[1]..<start[1] + count[1] : 0..<10
      let expected = (start[0]..<start[0] + count[0]).flatMap { row in columns.map { values[row * 10 + $0] } }
      var read = [UInt32](repeating: 0, count: expected.count)
      try read.withUnsafeMutableBytes { buffer in
        Result { () throws(HDF5Error) in try dataset.readSlab(start: start, count: count, into: buffer) }
      }.get()
      #expect(read == expected)
    }
    let all = try dataset.readAll()
    #expect(all == values.withUnsafeBytes { Array($0) })
  }

  @Test func compressedDataIsReadInTheSessionThatWritesIt() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let dataset = try file.root().createDataset(
      "x", type: .uint16, shape: .simple([300]), chunks: [100], deflateLevel: 3, shuffle: true)
    let unwritten = try dataset.readAll()
    #expect(unwritten == [UInt8](repeating: 0, count: 600))
    let values = (0..<300).map { UInt16($0) }
    try dataset.write(values)
    let read = try dataset.readAll()
    #expect(read == values.withUnsafeBytes { Array($0) })
  }

  @Test func aChunkThatInflatesToLessIsDamaged() throws {
    let scratch = try Scratch()
    _ = try make(scratch.path(), deflate: 6, shuffle: false)
    var bytes = try readFile(scratch.path())
    // A complete zlib stream of "abcd": libhdf5 itself would read on behind the four bytes.
    let short: [UInt8] = [0x78, 0x01, 1, 4, 0, 0xFB, 0xFF, 0x61, 0x62, 0x63, 0x64, 0x03, 0xD8, 0x01, 0x8B]
    let starts =
      bytes.indices.dropLast(short.count).filter { bytes[$0] == 0x78 && bytes[$0 + 1] == 0x5E }
      + bytes.indices.dropLast(short.count).filter { bytes[$0] == 0x78 && bytes[$0 + 1] == 0x9C }
    #expect(!starts.isEmpty)
    for start in starts { bytes.replaceSubrange(start..<start + short.count, with: short) }
    try writeFile(scratch.path(), bytes)
    let file = try File.open(scratch.path(), .readOnly)
    let dataset = try file.root().openDataset("x")
    let error = try #require(throws: HDF5Error.self) { _ = try dataset.readAll() }
    #expect(error.kind == .damaged)
  }

  @Test func slabsOutsideTheShapeAreRefused() throws {
    let scratch = try Scratch()
    _ = try make(scratch.path(), deflate: 1, shuffle: false)
    let file = try File.open(scratch.path(), .readOnly)
    let dataset = try file.root().openDataset("x")
    var buffer = [UInt8](repeating: 0, count: 40)
    for (start, count) in [([100], [1]), ([-1], [1]), ([0, 0, 0], [1, 1, 1]), ([0], [1, 1]), ([Int.max], [1])] {
      _ = buffer.withUnsafeMutableBytes { bytes in
        #expect(throws: HDF5Error.self) { try dataset.readSlab(start: start, count: count, into: bytes) }
      }
    }
  }

  @Test func chunksThatDoNotFitAreRefused() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    for chunks in [[], [4], [4, 0], [200, 4], [4, -1]] {
      #expect(throws: HDF5Error.self) {
        _ = try root.createDataset("x", type: .uint8, shape: .simple([100, 10]), chunks: chunks)
      }
    }
    #expect(throws: HDF5Error.self) {
      _ = try root.createDataset("x", type: .uint8, shape: .simple([9]), chunks: [3], deflateLevel: 10)
    }
    #expect(throws: HDF5Error.self) { _ = try root.createDataset("x", type: .uint8, shape: .scalar, chunks: [1]) }
  }
}
