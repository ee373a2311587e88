import Checkpoint

/// A metadata value as it is stored: type and bytes.
struct GGUFStoredValue {
  let type: GGUFValueType
  private(set) var bytes: [UInt8] = []

  /// - Parameter type: the type of a number, where the tree tells it.
  /// - Returns: nil for what GGUF has no type for.
  init?(_ value: Value, type declared: GGUFValueType? = nil) throws(CheckpointError) {
    try self.init(value, declared, nesting: 0)
  }

  private init?(_ value: Value, _ declared: GGUFValueType?, nesting: Int) throws(CheckpointError) {
    switch value {
    case .bool(let flag): (type, bytes) = (.bool, [flag ? 1 : 0])
    case .string(let text):
      type = .string
      guard append(text.utf8) else { return nil }
    // Others would come back as a string.
    case .bytes(let text) where String(validating: text, as: UTF8.self) == nil:
      type = .string
      guard append(text) else { return nil }
    case .int(let number):
      type = declared.flatMap { Self.encoded(number, $0) != nil ? $0 : nil } ?? Self.width(of: [number])
      guard let encoded = Self.encoded(number, type) else { return nil }
      bytes = encoded
    case .bigInt(let number):
      guard number.bytes.count == 9, number.bytes[8] == 0 else { return nil }
      (type, bytes) = (.uint64, Array(number.bytes.prefix(8)))
    case .double(let number):
      type = declared == .float64 || !Self.isFloat(number) ? .float64 : .float32
      append(number)
    case .tensor(let tensor):
      guard let element = GGUFValueType.allCases.first(where: { $0.dtype == tensor.dtype }), tensor.shape.count <= 1,
        tensor.count <= GGUF.maximumArray
      else { return nil }
      type = tensor.shape.isEmpty ? element : .array
      if type == .array { bytes = littleEndian(element.rawValue) + littleEndian(UInt64(tensor.count)) }
      var content: [UInt8] = []
      try tensor.source.withBytes { content = Array($0) }
      bytes += content
    case .sequence(let kind, let items) where kind == .list || kind == .tuple && items.isEmpty:
      guard nesting < GGUF.maximumNesting, let list = try Self.array(items, kind, nesting: nesting) else { return nil }
      (type, bytes) = (.array, list)
    default: return nil
    }
  }

  // MARK: - Numbers

  private static func encoded(_ number: Int64, _ type: GGUFValueType) -> [UInt8]? {
    switch type {
    case .uint8: UInt8(exactly: number).map(littleEndian)
    case .int8: Int8(exactly: number).map(littleEndian)
    case .uint16: UInt16(exactly: number).map(littleEndian)
    case .int16: Int16(exactly: number).map(littleEndian)
    case .uint32: UInt32(exactly: number).map(littleEndian)
    case .int32: Int32(exactly: number).map(littleEndian)
    case .uint64: UInt64(exactly: number).map(littleEndian)
    case .int64: littleEndian(number)
    default: nil
    }
  }

  /// What llama.cpp uses for such numbers, if they fit.
  private static func width(of numbers: [Int64]) -> GGUFValueType {
    if numbers.allSatisfy({ UInt32(exactly: $0) != nil }) { return .uint32 }
    return numbers.allSatisfy { Int32(exactly: $0) != nil } ? .int32 : .int64
  }

  private static func isFloat(_ number: Double) -> Bool { number.isNaN || Double(Float(number)) == number }

  private mutating func append(_ number: Double) {
    bytes += type == .float32 ? littleEndian(Float(number).bitPattern) : littleEndian(number.bitPattern)
  }

  private mutating func append(_ text: some Collection<UInt8>) -> Bool {
    guard text.count <= GGUF.maximumString else { return false }
    bytes += littleEndian(UInt64(text.count))
    bytes += text
    return true
  }

  // MARK: - Arrays

  /// Items of one type; nil where they are of several.
  private static func array(
    _ items: [Value], _ kind: Value.Sequence, nesting: Int
  ) throws(CheckpointError) -> [UInt8]? {
    guard items.count <= GGUF.maximumArray else { return nil }
    if items.isEmpty {
      return littleEndian((kind == .tuple ? GGUFValueType.array : .string).rawValue) + littleEndian(UInt64(0))
    }
    let common = commonType(items)
    var bytes: [UInt8] = []
    var element: GGUFValueType?
    for item in items {
      guard let stored = try GGUFStoredValue(item, common, nesting: nesting + 1),
        element == nil || element == stored.type
      else { return nil }
      element = stored.type
      bytes += stored.bytes
    }
    guard let element else { return nil }
    return littleEndian(element.rawValue) + littleEndian(UInt64(items.count)) + bytes
  }

  /// The type that all numbers of a list fit; nil where they are none.
  private static func commonType(_ items: [Value]) -> GGUFValueType? {
    let ints = items.compactMap { if case .int(let number) = $0 { number } else { nil } }
    if ints.count == items.count { return width(of: ints) }
    let doubles = items.compactMap { if case .double(let number) = $0 { number } else { nil } }
    return doubles.count == items.count && !doubles.allSatisfy(isFloat) ? .float64 : nil
  }
}

func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian) { Array($0) }
}
