import Checkpoint

/// The JSON header of a safetensors file.
struct SafetensorsHeader {
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    /// Where the bytes lie, from the end of the header.
    let offsets: Range<Int>
  }

  private(set) var entries: [Entry] = []
  /// Nil where the file says nothing, or null as MLX does.
  private(set) var metadata: [(key: String, value: String)]?
  private var scanner: JSONScanner
  private var names: Set<Key> = []

  /// - Parameter bytes: the header, which must outlive the reader.
  init(_ bytes: UnsafeRawBufferPointer) { scanner = JSONScanner(bytes) }

  mutating func read() throws(CheckpointError) {
    try scanner.beginObject()
    var first = true
    while let name = try scanner.nextKey(first: &first) {
      guard names.insert(.string(name)).inserted else {
        throw CheckpointError(.damaged, "the name '\(name)' comes twice, and readers may take either")
      }
      if name.hasSameBytes(as: "__metadata__") {
        try readMetadata()
      } else {
        do throws(CheckpointError) { try readEntry(name) } catch { throw error.at("tensor '\(name)'") }
      }
    }
    try scanner.end()
  }

  private mutating func readMetadata() throws(CheckpointError) {
    guard try scanner.peek() != .null else { return try scanner.null() }
    try scanner.beginObject()
    var first = true
    var seen: Set<Key> = []
    var found: [(key: String, value: String)] = []
    while let key = try scanner.nextKey(first: &first) {
      guard seen.insert(.string(key)).inserted else {
        throw CheckpointError(.damaged, "the key '\(key)' of __metadata__ comes twice")
      }
      found.append((key, try scanner.string()))
    }
    metadata = found
  }

  private mutating func readEntry(_ name: String) throws(CheckpointError) {
    var dtype: DType?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.beginObject()
    var first = true
    // Unknown fields are left for later versions of the format.
    while let field = try scanner.nextKey(of: ["dtype", "shape", "data_offsets"], first: &first) {
      switch field {
      case 0 where dtype == nil: dtype = try readType()
      case 1 where shape == nil: shape = try readInts(limit: 64, "dimensions")
      case 2 where offsets == nil: offsets = try readInts(limit: 2, "offsets")
      case -1: try scanner.skipValue()
      default: throw CheckpointError(.damaged, "a field comes twice")
      }
    }
    guard let dtype, let shape, let offsets, offsets.count == 2 else {
      throw CheckpointError(.damaged, "needs a dtype, a shape and two data_offsets")
    }
    guard offsets[0] <= offsets[1] else {
      throw CheckpointError(.damaged, "data_offsets \(offsets) end before they begin")
    }
    try Self.check(dtype, shape, offsets)
    entries.append(Entry(name: name, dtype: dtype, shape: shape, offsets: offsets[0]..<offsets[1]))
  }

  private static func check(_ dtype: DType, _ shape: [Int], _ offsets: [Int]) throws(CheckpointError) {
    guard let count = elementCount(of: shape),
      case let (bits, overflow) = count.multipliedReportingOverflow(
        by: dtype.bitWidth), !overflow
    else { throw CheckpointError(.damaged, "shape \(shape) of \(dtype.rawValue) is too large") }
    guard bits % 8 == 0, bits / 8 == offsets[1] - offsets[0] else {
      throw CheckpointError(
        .damaged,
        "shape \(shape) of \(dtype.rawValue) takes \(bits) bits, data_offsets \(offsets) give "
          + "\(offsets[1] - offsets[0]) bytes")
    }
  }

  private mutating func readType() throws(CheckpointError) -> DType {
    let name = try scanner.string()
    guard let known = Self.types.first(where: { $0.name.hasSameBytes(as: name) }) else {
      throw CheckpointError(
        .unsupported, "the element type '\(name)' is not known",
        advice: "Known are \(Self.types.map(\.name).joined(separator: ", ")).")
    }
    return known.dtype
  }

  private mutating func readInts(limit: Int, _ what: String) throws(CheckpointError) -> [Int] {
    try scanner.beginArray()
    var first = true
    var numbers: [Int] = []
    while try scanner.nextElement(first: &first) {
      let number = try scanner.int()
      guard number >= 0 else { throw CheckpointError(.damaged, "a negative number among the \(what): \(number)") }
      guard numbers.count < limit else { throw CheckpointError(.damaged, "more than \(limit) \(what)") }
      numbers.append(number)
    }
    return numbers
  }

  /// Sorted, the ranges must begin at 0, follow one another, and end with the file. An empty tensor lies between two.
  func checkCover(dataSize: Int) throws(CheckpointError) {
    let sorted = entries.sorted {
      ($0.offsets.lowerBound, $0.offsets.upperBound) < ($1.offsets.lowerBound, $1.offsets.upperBound)
    }
    var end = 0
    for entry in sorted {
      let start = entry.offsets.lowerBound
      guard start == end else {
        let what =
          start > end
          ? "bytes \(end) to \(start) belong to no tensor" : "its bytes from \(start) on belong to another tensor too"
        throw CheckpointError(
          .damaged, what, place: "tensor '\(entry.name)'",
          advice: "Tensors must cover the file exactly; what hides in gaps or overlaps is not to be trusted.")
      }
      end = entry.offsets.upperBound
      guard end <= dataSize else {
        throw CheckpointError(
          .damaged, "ends at byte \(end) of \(dataSize) bytes of data", place: "tensor '\(entry.name)'",
          advice: "The file may have been cut short; compare its size with the original's.")
      }
    }
    guard end == dataSize else {
      throw CheckpointError(.damaged, "\(dataSize - end) bytes follow the last tensor")
    }
  }

  /// The format's names, in its own order of alignment.
  static let types: [(name: String, dtype: DType)] = [
    ("BOOL", .bool), ("F4", .float4_e2m1fn), ("F6_E2M3", .float6_e2m3fn), ("F6_E3M2", .float6_e3m2fn), ("U8", .uint8),
    ("I8", .int8), ("F8_E5M2", .float8_e5m2), ("F8_E4M3", .float8_e4m3fn), ("F8_E8M0", .float8_e8m0fnu),
    ("F8_E4M3FNUZ", .float8_e4m3fnuz), ("F8_E5M2FNUZ", .float8_e5m2fnuz), ("I16", .int16), ("U16", .uint16),
    ("F16", .float16), ("BF16", .bfloat16), ("I32", .int32), ("U32", .uint32), ("F32", .float32), ("C64", .complex64),
    ("F64", .float64), ("I64", .int64), ("U64", .uint64),
  ]
}
