internal import CHDF5

/// An open attribute, with what is known before its value is read.
struct OpenAttribute {
  var id: hid_t
  var typeID: hid_t
  var type: Datatype
  var shape: Shape
  /// Checked: `count * type.byteCount` is at most 16 MiB.
  var count: Int
}

/// Attributes are small by nature; a large one is an attack, or somebody else's data.
private let largestAttribute = 16 << 20

extension Call {
  func withAttribute<T>(
    _ object: hid_t, _ name: String, _ body: (OpenAttribute) throws(HDF5Error) -> T
  ) throws(HDF5Error) -> T {
    guard H5Aexists(object, name) != 0 else { throw error(.notFound, "there is no such attribute") }
    let attribute = try id(H5Aopen(object, name, ckpt_default()))
    defer { H5Aclose(attribute) }
    let typeID = try id(H5Aget_type(attribute))
    defer { H5Tclose(typeID) }
    let space = try id(H5Aget_space(attribute))
    defer { H5Sclose(space) }
    let type = try describe(type: typeID)
    let shape = try shape(ofSpace: space)
    guard let count = shape.elementCount, let bytes = shape.byteCount(elementBytes: type.byteCount),
      bytes <= largestAttribute
    else { throw error(.unsupported, "it claims more than \(largestAttribute) bytes") }
    return try body(OpenAttribute(id: attribute, typeID: typeID, type: type, shape: shape, count: count))
  }

  /// The elements, converted to the type of `zero`.
  func elements<T: BitwiseCopyable>(
    _ attribute: OpenAttribute, as type: hid_t, zero: T
  ) throws(HDF5Error) -> [T] {
    var values = [T](repeating: zero, count: attribute.count)
    guard attribute.count > 0 else { return values }
    let status = values.withUnsafeMutableBytes { H5Aread(attribute.id, type, $0.baseAddress) }
    try check(status)
    return values
  }

  func value(_ attribute: OpenAttribute) throws(HDF5Error) -> AttributeValue {
    switch attribute.shape {
    case .null: return .empty
    case .simple(let dimensions) where dimensions.count != 1: return try raw(attribute)
    case .scalar, .simple: break
    }
    switch attribute.type {
    case .bool: return try bools(attribute)
    case .integer(let bytes, let signed, _):
      return try bytes == 8 && !signed ? unsigned(attribute) : integers(attribute)
    case .float(let layout) where layout.bytes <= 8:
      let values = try elements(attribute, as: ckpt_native_double(), zero: 0.0)
      return attribute.shape == .scalar ? .double(values[0]) : .doubles(values)
    case .fixedString(let bytes, _, let padding): return try fixedStrings(attribute, bytes, padding)
    case .variableString: return try variableStrings(attribute)
    default: return try raw(attribute)
    }
  }

  private func raw(_ attribute: OpenAttribute) throws(HDF5Error) -> AttributeValue {
    .raw(type: attribute.type, shape: attribute.shape, bytes: try storedBytes(attribute))
  }

  /// The elements as stored. The memory for them is sized by the shape, which is checked.
  private func storedBytes(_ attribute: OpenAttribute) throws(HDF5Error) -> [UInt8] {
    // Such an element would arrive as a pointer.
    guard H5Tdetect_class(attribute.typeID, H5T_VLEN) == 0, !hasVariableText(attribute.typeID) else {
      throw error(.unsupported, "\(attribute.type) holds variable-length data")
    }
    var bytes = [UInt8](repeating: 0, count: attribute.count * attribute.type.byteCount)
    guard !bytes.isEmpty else { return bytes }
    let status = bytes.withUnsafeMutableBytes { H5Aread(attribute.id, attribute.typeID, $0.baseAddress) }
    try check(status)
    return bytes
  }

  private func bools(_ attribute: OpenAttribute) throws(HDF5Error) -> AttributeValue {
    let bytes = try storedBytes(attribute)
    guard bytes.allSatisfy({ $0 <= 1 }) else {
      return .raw(type: attribute.type, shape: attribute.shape, bytes: bytes)
    }
    let values = bytes.map { $0 == 1 }
    return attribute.shape == .scalar ? .bool(values[0]) : .bools(values)
  }

  private func integers(_ attribute: OpenAttribute) throws(HDF5Error) -> AttributeValue {
    let values = try elements(attribute, as: ckpt_native_int64(), zero: Int64(0))
    return attribute.shape == .scalar ? .int(values[0]) : .ints(values)
  }

  private func unsigned(_ attribute: OpenAttribute) throws(HDF5Error) -> AttributeValue {
    let values = try elements(attribute, as: ckpt_native_uint64(), zero: UInt64(0))
    let signed = values.compactMap { Int64(exactly: $0) }
    if attribute.shape == .scalar { return signed.first.map { .int($0) } ?? .uint(values[0]) }
    return signed.count == values.count ? .ints(signed) : try raw(attribute)
  }

  private func fixedStrings(
    _ attribute: OpenAttribute, _ width: Int, _ padding: Datatype.StringPadding
  ) throws(HDF5Error) -> AttributeValue {
    let bytes = try storedBytes(attribute)
    var texts: [String] = []
    for start in stride(from: 0, to: bytes.count, by: width) {
      guard let text = padding.text(bytes[start..<start + width]) else {
        return .raw(type: attribute.type, shape: attribute.shape, bytes: bytes)
      }
      texts.append(text)
    }
    return attribute.shape == .scalar ? .string(texts[0]) : .strings(texts)
  }
}

extension Datatype.StringPadding {
  /// The text in a field of that padding; nil when it is not UTF-8.
  fileprivate func text(_ field: ArraySlice<UInt8>) -> String? {
    let text: ArraySlice<UInt8>
    switch self {
    case .nullTerminated: text = field.prefix { $0 != 0 }
    case .nullPadded: text = field[..<(field.lastIndex { $0 != 0 }.map { $0 + 1 } ?? field.startIndex)]
    case .spacePadded: text = field[..<(field.lastIndex { $0 != 0x20 }.map { $0 + 1 } ?? field.startIndex)]
    }
    return String(validating: text, as: UTF8.self)
  }
}
