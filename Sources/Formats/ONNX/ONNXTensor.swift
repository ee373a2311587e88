import Checkpoint

/// A `TensorProto`: its name, and where its elements are.
struct ONNXTensor {
  private(set) var name = ""
  private var shape: [Int] = []
  private var code: Int64 = 0
  private var raw: Range<Int>?
  private var chunks: [Int: [Range<Int>]] = [:]
  private var strings: [Range<Int>] = []
  private var isExternal = false
  private var external: [(key: String, value: String)] = []
  private let file: MappedFile

  private static let maximumRank = 64

  init(_ file: MappedFile, _ range: Range<Int>) throws(CheckpointError) {
    self.file = file
    var reader = ProtobufReader(file.bytes, range)
    var once = OnceFields()
    while let field = try reader.next() {
      switch field.number {
      case 1: try addSizes(field)
      case 2, 8, 9, 14:
        try once.add(field)
        try readOnce(field)
      case 3:
        throw CheckpointError(.unsupported, "a tensor in segments, which ONNX gave up", place: "offset \(field.offset)")
      case 4, 5, 7, 10, 11: try addNumbers(field, end: reader.offset)
      case 6: strings.append(try field.range())
      case 13: external.append(try ONNXModel.pair(field, file.bytes))
      default: break
      }
    }
  }

  private mutating func readOnce(_ field: ProtobufReader.Field) throws(CheckpointError) {
    switch field.number {
    case 2: code = try field.int()
    case 8: name = try field.text(in: file.bytes)
    case 9: raw = try field.range()
    default: isExternal = try field.int() == 1
    }
  }

  private mutating func addSizes(_ field: ProtobufReader.Field) throws(CheckpointError) {
    switch field.content {
    case .varint(let number): try addSize(number)
    case .bytes(let range):
      var packed = ProtobufReader(file.bytes, range)
      while packed.offset < range.upperBound { try addSize(packed.varint()) }
    default: throw field.mismatch
    }
  }

  private mutating func addSize(_ number: UInt64) throws(CheckpointError) {
    guard let size = Int(exactly: Int64(bitPattern: number)), size >= 0 else {
      throw CheckpointError(.damaged, "a size of \(Int64(bitPattern: number))")
    }
    guard shape.count < Self.maximumRank else {
      throw CheckpointError(.unsupported, "more than \(Self.maximumRank) dimensions")
    }
    shape.append(size)
  }

  /// Numbers come packed, or each in a field of its own.
  private mutating func addNumbers(_ field: ProtobufReader.Field, end: Int) throws(CheckpointError) {
    let range: Range<Int>
    switch (field.content, field.number) {
    case (.bytes(let packed), _): range = packed
    case (.fixed32, 4): range = field.contentOffset..<(field.contentOffset + 4)
    case (.fixed64, 10): range = field.contentOffset..<(field.contentOffset + 8)
    case (.varint, 5), (.varint, 7), (.varint, 11): range = field.contentOffset..<end
    default: throw field.mismatch
    }
    if !range.isEmpty { chunks[field.number, default: []].append(range) }
  }

  /// The tensor, or a list of texts.
  ///
  /// - Parameter folder: where external data are looked for.
  func value(_ folder: ONNXFolder) throws(CheckpointError) -> Value {
    guard code != ONNXType.string else { return try texts() }
    let type = try ONNXType(code)
    guard let count = elementCount(of: shape), let byteCount = type.dtype.byteCount(of: shape) else {
      throw CheckpointError(.damaged, "shape \(shape) of \(type.dtype.rawValue) is too large")
    }
    guard strings.isEmpty, chunks.keys.allSatisfy({ $0 == type.field.rawValue }) else {
      throw CheckpointError(.damaged, "elements of \(type.dtype.rawValue) in a field of other types")
    }
    guard [isExternal, raw != nil, !chunks.isEmpty].count(where: { $0 }) <= 1 else {
      throw CheckpointError(.damaged, "elements in several places, of which readers may take any")
    }
    let source: any ByteSource
    if isExternal {
      source = try folder.source(external, byteCount: byteCount)
    } else if let raw {
      guard raw.count == byteCount else {
        throw CheckpointError(
          .damaged, "shape \(shape) of \(type.dtype.rawValue) takes \(byteCount) bytes, raw_data has \(raw.count)")
      }
      source = try MappedRange(file, range: raw)
    } else if let chunk = only, type.field.fixedSize != nil, chunk.count == byteCount {
      source = try MappedRange(file, range: chunk)
    } else {
      let found = chunks[type.field.rawValue] ?? []
      source = try ONNXNumbers(file, found, type, count: count, byteCount: byteCount)
    }
    return .tensor(try Tensor(dtype: type.dtype, shape: shape, source: source))
  }

  private var only: Range<Int>? {
    guard chunks.count == 1, let found = chunks.values.first, found.count == 1 else { return nil }
    return found[0]
  }

  /// Texts in the tensor's order; its shape is not kept.
  private func texts() throws(CheckpointError) -> Value {
    guard raw == nil, chunks.isEmpty, !isExternal, elementCount(of: shape) == strings.count else {
      throw CheckpointError(.damaged, "\(strings.count) texts in a tensor of shape \(shape)")
    }
    return .sequence(
      .list,
      strings.map { range in
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[range])
        return String(validating: bytes, as: UTF8.self).map(Value.string) ?? .bytes(Array(bytes))
      })
  }
}
