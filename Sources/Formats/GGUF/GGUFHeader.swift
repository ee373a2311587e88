import Checkpoint

/// What stands before a GGUF file's data: metadata, and where each tensor lies.
struct GGUFHeader {
  struct Pair {
    let key: String
    let type: GGUFValueType
    let value: Value
    /// Where type and value stand in the file.
    let range: Range<Int>
  }

  struct Entry {
    let name: String
    let type: GGUFTensorType
    /// Slowest dimension first, as everywhere else: the file has them reversed.
    let shape: [Int]
    /// Where the bytes lie in the file.
    let range: Range<Int>
  }

  private(set) var version: UInt32 = 0
  private(set) var pairs: [Pair] = []
  private(set) var entries: [Entry] = []
  /// What is odd but no damage.
  private(set) var warnings: [String] = []
  /// The unit of offsets.
  private(set) var alignment = GGUF.defaultAlignment
  /// Strings and arrays that were met in arrays.
  private var listed = 0
  private let file: MappedFile
  private var cursor: ByteCursor

  /// Reads and checks everything but the tensors' bytes.
  ///
  /// - Throws: `damaged` for what the format does not allow, `unsupported` for other versions and byte orders.
  init(_ file: MappedFile) throws(CheckpointError) {
    self.file = file
    cursor = try ByteCursor(file.bytes, what: "the file")
    do throws(CheckpointError) {
      try read()
    } catch {
      throw error.inFile(file.path)
    }
  }

  private mutating func read() throws(CheckpointError) {
    guard file.bytes.prefix(4).elementsEqual(GGUF.magic) else {
      throw CheckpointError(.unsupported, "does not start with 'GGUF'")
    }
    try cursor.skip(4)
    version = try cursor.read(UInt32.self)
    try Self.check(version)
    let tensors = try count("tensors", atLeast: 24)
    let pairs = try count("metadata values", atLeast: 13)
    try readPairs(pairs)
    try readAlignment()
    try readEntries(tensors)
  }

  private static func check(_ version: UInt32) throws(CheckpointError) {
    if version == 2 || version == 3 { return }
    guard version & 0xFFFF != 0 else {
      throw CheckpointError(
        .unsupported, "is a big-endian GGUF file; only little-endian ones are read", place: "offset 4",
        advice: "Make it anew for little-endian machines, or turn it with gguf's gguf_convert_endian.py.")
    }
    throw CheckpointError(
      .unsupported, "is a GGUF file of version \(version); versions 2 and 3 are read", place: "offset 4",
      advice: version == 1
        ? "Version 1 lasted for some weeks of 2023; make the file anew from the model it came from."
        : "If the file is newer than this program, look for a newer ckpt.")
  }

  /// How many things are to follow, each of which takes some bytes at least.
  private mutating func count(_ what: String, atLeast size: Int) throws(CheckpointError) -> Int {
    let place = cursor.offset
    let claimed = try cursor.read(UInt64.self)
    guard claimed <= UInt64(cursor.remaining / size) else {
      throw CheckpointError(
        .damaged, "\(claimed) \(what) are claimed; \(cursor.remaining) bytes follow", place: "offset \(place)",
        advice: "The file may have been cut short; compare its size with the original's.")
    }
    return Int(claimed)
  }

  // MARK: - Metadata

  private mutating func readPairs(_ count: Int) throws(CheckpointError) {
    pairs.reserveCapacity(count)
    var keys = Set<Key>(minimumCapacity: count)
    for index in 0..<count {
      let key: String
      do throws(CheckpointError) { key = try name("a key") } catch { throw error.at("metadata value \(index)") }
      guard keys.insert(.string(key)).inserted else {
        throw CheckpointError(.damaged, "the key '\(key)' comes twice, and readers may take either")
      }
      do throws(CheckpointError) { try readPair(key) } catch { throw error.at("key '\(key)'") }
    }
  }

  private mutating func readPair(_ key: String) throws(CheckpointError) {
    let start = cursor.offset
    let type = try valueType()
    let value = try value(type, nesting: 0)
    pairs.append(Pair(key: key, type: type, value: value, range: start..<cursor.offset))
  }

  private mutating func valueType() throws(CheckpointError) -> GGUFValueType {
    let place = cursor.offset
    let code = try cursor.read(UInt32.self)
    guard let type = GGUFValueType(rawValue: code) else {
      throw CheckpointError(
        .damaged, "a value of type \(code); types are 0 to \(GGUFValueType.allCases.count - 1)",
        place: "offset \(place)")
    }
    return type
  }

  private mutating func value(_ type: GGUFValueType, nesting: Int) throws(CheckpointError) -> Value {
    switch type {
    case .uint8: .int(Int64(try cursor.read(UInt8.self)))
    case .int8: .int(Int64(try cursor.read(Int8.self)))
    case .uint16: .int(Int64(try cursor.read(UInt16.self)))
    case .int16: .int(Int64(try cursor.read(Int16.self)))
    case .uint32: .int(Int64(try cursor.read(UInt32.self)))
    case .int32: .int(Int64(try cursor.read(Int32.self)))
    case .int64: .int(try cursor.read(Int64.self))
    case .uint64: Value(unsigned: try cursor.read(UInt64.self))
    case .float32: .double(Double(Float(bitPattern: try cursor.read(UInt32.self))))
    case .float64: .double(Double(bitPattern: try cursor.read(UInt64.self)))
    case .bool: .bool(try flag())
    case .string: try text()
    case .array: try array(nesting: nesting)
    }
  }

  private mutating func flag() throws(CheckpointError) -> Bool {
    let byte = try cursor.read(UInt8.self)
    guard byte <= 1 else { throw badFlag(byte, at: cursor.offset - 1) }
    return byte == 1
  }

  private func badFlag(_ byte: UInt8, at offset: Int) -> CheckpointError {
    CheckpointError(.damaged, "a bool is \(byte); it must be 0 or 1", place: "offset \(offset)")
  }

  private mutating func stringBytes(_ what: String) throws(CheckpointError) -> UnsafeRawBufferPointer {
    let place = cursor.offset
    let length = try cursor.read(UInt64.self)
    guard length <= UInt64(GGUF.maximumString), length <= UInt64(cursor.remaining) else {
      throw CheckpointError(
        .damaged, "\(what) of \(length) bytes is claimed; \(cursor.remaining) bytes follow, 2^30 are allowed",
        place: "offset \(place)")
    }
    return try cursor.slice(Int(length))
  }

  /// A key, or a tensor's name: these must be UTF-8.
  private mutating func name(_ what: String) throws(CheckpointError) -> String {
    let place = cursor.offset
    let bytes = try stringBytes(what)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError(.damaged, "\(what) is no UTF-8", place: "offset \(place)")
    }
    return text
  }

  /// A string; what is no UTF-8, as pieces of a vocabulary may be, stays bytes.
  private mutating func text() throws(CheckpointError) -> Value {
    let bytes = try stringBytes("a string")
    return String(validating: bytes, as: UTF8.self).map(Value.string) ?? .bytes(Array(bytes))
  }

  /// Numbers as a tensor in the file; strings and arrays as a list.
  private mutating func array(nesting: Int) throws(CheckpointError) -> Value {
    guard nesting < GGUF.maximumNesting else {
      throw CheckpointError(
        .damaged, "arrays lie more than \(GGUF.maximumNesting) deep in each other", place: "offset \(cursor.offset)")
    }
    let type = try valueType()
    let place = cursor.offset
    let count = try count("items of an array", atLeast: type.minimumSize)
    guard count <= GGUF.maximumArray else {
      throw CheckpointError(.damaged, "an array of \(count) items; at most 2^30 are allowed", place: "offset \(place)")
    }
    if let dtype = type.dtype { return .tensor(try numbers(dtype, count)) }
    listed += count
    guard listed <= GGUF.maximumListed else {
      throw CheckpointError(
        .unsupported, "more than \(GGUF.maximumListed) strings and arrays in arrays", place: "offset \(place)")
    }
    // Empty, a list is one of strings; one of arrays is told apart as a tuple.
    if count == 0, type == .array { return .sequence(.tuple, []) }
    var items: [Value] = []
    items.reserveCapacity(count)
    for _ in 0..<count { items.append(try value(type, nesting: nesting + 1)) }
    return .sequence(.list, items)
  }

  private mutating func numbers(_ dtype: DType, _ count: Int) throws(CheckpointError) -> Tensor {
    let start = cursor.offset
    let bytes = try cursor.slice(count * dtype.wordSize)
    if dtype == .bool, let bad = bytes.firstIndex(where: { $0 > 1 }) { throw badFlag(bytes[bad], at: start + bad) }
    return try Tensor(
      dtype: dtype, shape: [count], source: MappedRange(file, range: start..<(start + bytes.count)))
  }

  private mutating func readAlignment() throws(CheckpointError) {
    guard let pair = pairs.first(where: { $0.key.hasSameBytes(as: GGUF.alignment) }) else { return }
    guard pair.type == .uint32, case .int(let number) = pair.value, GGUF.isAlignment(number) else {
      throw CheckpointError(
        .damaged,
        "must be a power of two that is a multiple of 8, as u32; it is \(pair.value.shown) (\(pair.type.name))",
        place: "key '\(GGUF.alignment)'")
    }
    alignment = Int(number)
  }

  // MARK: - Tensors

  private struct Claim {
    var name: String
    var type: GGUFTensorType
    var shape: [Int]
    var offset: Int
    var bytes: Int
  }

  private mutating func readEntries(_ count: Int) throws(CheckpointError) {
    var claims: [Claim] = []
    claims.reserveCapacity(count)
    var names = Set<Key>(minimumCapacity: count)
    for index in 0..<count {
      let name: String
      do throws(CheckpointError) { name = try self.name("a name") } catch { throw error.at("tensor \(index)") }
      guard names.insert(.string(name)).inserted else {
        throw CheckpointError(.damaged, "the tensor '\(name)' comes twice, and readers may take either")
      }
      do throws(CheckpointError) { claims.append(try claim(name)) } catch { throw error.at("tensor '\(name)'") }
    }
    // A file without tensors may end without padding.
    let start = count == 0 ? cursor.offset : GGUF.aligned(cursor.offset, alignment) ?? .max
    entries.reserveCapacity(count)
    for claim in claims {
      entries.append(
        Entry(name: claim.name, type: claim.type, shape: claim.shape, range: try range(claim, from: start)))
    }
    try checkOverlaps(from: start)
  }

  private mutating func claim(_ name: String) throws(CheckpointError) -> Claim {
    let dimensions = try cursor.read(UInt32.self)
    guard dimensions <= GGUF.maximumDimensions else {
      throw CheckpointError(
        .damaged, "\(dimensions) dimensions; at most \(GGUF.maximumDimensions) are allowed",
        place: "offset \(cursor.offset - 4)")
    }
    var shape: [Int] = []
    for _ in 0..<dimensions { shape.insert(try cursor.large(), at: 0) }
    let code = try cursor.read(UInt32.self)
    guard let type = GGUFTensorType.of(code: code) else {
      throw CheckpointError(
        .unsupported, "its element type is number \(code), which is not known", place: "offset \(cursor.offset - 4)",
        advice: "Types that ggml has removed, and those newer than this program, cannot be read.")
    }
    guard let bytes = type.byteCount(of: shape) else {
      let advice = type.dtype == nil ? "Rows must be whole blocks of \(type.blockElements) elements." : nil
      throw CheckpointError(
        .damaged, "shape \(shape) is too large, or not possible for \(type.name)", advice: advice)
    }
    let offset = try cursor.large()
    guard offset % alignment == 0 else {
      throw CheckpointError(.damaged, "its offset \(offset) is no multiple of the alignment \(alignment)")
    }
    return Claim(name: name, type: type, shape: shape, offset: offset, bytes: bytes)
  }

  private func range(_ claim: Claim, from start: Int) throws(CheckpointError) -> Range<Int> {
    let (first, overflow) = start.addingReportingOverflow(claim.offset)
    let (end, carried) = first.addingReportingOverflow(claim.bytes)
    guard !overflow, !carried, end <= file.count || claim.bytes == 0 else {
      throw CheckpointError(
        .damaged, "\(claim.bytes) bytes from offset \(claim.offset) on end beyond the file of \(file.count) bytes",
        place: "tensor '\(claim.name)'",
        advice: "The file may have been cut short; compare its size with the original's.")
    }
    return claim.bytes == 0 ? 0..<0 : first..<end
  }

  private mutating func checkOverlaps(from start: Int) throws(CheckpointError) {
    let order = entries.indices.filter { !entries[$0].range.isEmpty }
      .sorted { entries[$0].range.lowerBound < entries[$1].range.lowerBound }
    var (end, gaps, last) = (start, 0, "")
    for index in order {
      let entry = entries[index]
      guard entry.range.lowerBound >= end else {
        throw CheckpointError(
          .damaged, "its bytes belong to the tensor '\(last)' too", place: "tensor '\(entry.name)'",
          advice: "What hides in overlaps is not to be trusted.")
      }
      gaps += entry.range.lowerBound - end
      last = entry.name
      end = min(GGUF.aligned(entry.range.upperBound, alignment) ?? .max, max(file.count, entry.range.upperBound))
    }
    if gaps > 0 { warnings.append("\(gaps) bytes between the tensors belong to none; they are not read") }
    // The package gguf pads a file without tensors, llama.cpp does not.
    let padded = entries.isEmpty ? GGUF.aligned(end, alignment) ?? end : end
    if file.count > padded { warnings.append("\(file.count - padded) bytes follow the data; they are not read") }
  }
}

extension GGUF {
  /// The format wants a multiple of 8, its loader a power of two.
  static func isAlignment(_ number: Int64) -> Bool {
    number >= 8 && number <= 1 << 31 && number & (number - 1) == 0
  }
}

extension Value {
  init(unsigned number: UInt64) {
    self = Int64(exactly: number).map(Value.int) ?? .bigInt(BigInt(unsigned: number))
  }

  /// For an error.
  fileprivate var shown: String {
    switch self {
    case .int(let x): String(x)
    case .string(let x): "'\(x.prefix(40))'"
    default: "no number"
    }
  }
}

extension BigInt {
  fileprivate init(unsigned number: UInt64) {
    self.init(twosComplement: (0..<9).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) : 0 })
  }
}
