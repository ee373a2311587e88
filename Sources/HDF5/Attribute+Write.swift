internal import CHDF5

/// An attribute's value in stored form.
struct EncodedAttribute {
  var type: Datatype
  var shape: Shape
  var bytes: [UInt8]
}

extension Call {
  func encode(_ value: AttributeValue) throws(HDF5Error) -> EncodedAttribute {
    switch value {
    case .empty: return EncodedAttribute(type: .int8, shape: .null, bytes: [])
    case .bool(let value): return EncodedAttribute(type: .bool, shape: .scalar, bytes: [value ? 1 : 0])
    case .int(let value): return EncodedAttribute(type: .int64, shape: .scalar, bytes: littleEndian([value]))
    case .uint(let value): return EncodedAttribute(type: .uint64, shape: .scalar, bytes: littleEndian([value]))
    case .double(let value):
      return EncodedAttribute(type: .float64, shape: .scalar, bytes: littleEndian([value.bitPattern]))
    case .string(let text): return try encode(text)
    case .bools(let values): return list(.bool, values.count, values.map { $0 ? 1 : 0 })
    case .ints(let values): return list(.int64, values.count, littleEndian(values))
    case .doubles(let values): return list(.float64, values.count, littleEndian(values.map(\.bitPattern)))
    case .strings(let texts): return try encode(texts)
    case .raw(let type, let shape, let bytes):
      guard shape.byteCount(elementBytes: type.byteCount) == bytes.count else {
        throw error(.other, "\(bytes.count) bytes were given for \(shape) of \(type)")
      }
      return EncodedAttribute(type: type, shape: shape, bytes: bytes)
    }
  }

  private func list(_ type: Datatype, _ count: Int, _ bytes: [UInt8]) -> EncodedAttribute {
    EncodedAttribute(type: type, shape: .simple([count]), bytes: bytes)
  }

  private func encode(_ text: String) throws(HDF5Error) -> EncodedAttribute {
    guard !text.isEmpty else { throw error(.unsupported, "fixed-length text cannot be empty") }
    return EncodedAttribute(type: text.utf8.count.text, shape: .scalar, bytes: try utf8(text, text.utf8.count))
  }

  private func encode(_ texts: [String]) throws(HDF5Error) -> EncodedAttribute {
    let width = max(1, texts.map(\.utf8.count).max() ?? 1)
    var bytes: [UInt8] = []
    for text in texts { bytes += try utf8(text, width) }
    return list(width.text, texts.count, bytes)
  }

  private func utf8(_ text: String, _ width: Int) throws(HDF5Error) -> [UInt8] {
    guard !text.utf8.contains(0) else { throw error(.unsupported, "text with NUL would be cut there") }
    return Array(text.utf8) + [UInt8](repeating: 0, count: width - text.utf8.count)
  }

  private func littleEndian<T: FixedWidthInteger>(_ values: [T]) -> [UInt8] {
    values.map(\.littleEndian).withUnsafeBytes { Array($0) }
  }

  func writeAttribute(_ object: hid_t, _ name: String, _ value: EncodedAttribute) throws(HDF5Error) {
    try writeAttribute(object, name, type: value.type, shape: value.shape) { (attribute, type) in
      value.bytes.withUnsafeBytes { $0.isEmpty ? 0 : H5Awrite(attribute, type, $0.baseAddress) }
    }
  }

  func writeAttribute(
    _ object: hid_t, _ name: String, type: Datatype, shape: Shape, _ write: (hid_t, hid_t) -> herr_t
  ) throws(HDF5Error) {
    guard H5Aexists(object, name) <= 0 else { throw error(.exists, "there is an attribute of that name") }
    let space = try makeSpace(shape)
    defer { H5Sclose(space) }
    try withType(type) { (type) throws(HDF5Error) in
      let attribute = try id(H5Acreate2(object, name, type, space, lists.attribute, ckpt_default()))
      let status = write(attribute, type)
      let failure = status < 0 ? self.failure() : nil
      H5Aclose(attribute)
      if let failure { throw failure }
    }
  }
}

extension Int {
  /// UTF-8 text of that many bytes.
  fileprivate var text: Datatype { .fixedString(bytes: self, utf8: true, padding: .nullPadded) }
}
