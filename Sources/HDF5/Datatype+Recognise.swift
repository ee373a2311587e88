internal import CHDF5

extension Call {
  /// The type behind an id. Types of foreign files that have no case of their own are described in words.
  func describe(type: hid_t) throws(HDF5Error) -> Datatype {
    let bytes = Int(clamping: H5Tget_size(type))
    guard bytes > 0 else { throw failure() }
    switch H5Tget_class(type) {
    case H5T_INTEGER: return integer(type, bytes)
    case H5T_FLOAT:
      if let layout = floatLayout(type, bytes) { return .float(layout) }
      return .other(description: "an unusual float of \(bytes) bytes", bytes: bytes)
    case H5T_STRING: return try string(type, bytes)
    case H5T_ENUM: return enumeration(type, bytes)
    case H5T_COMPOUND: return compound(type, bytes)
    case H5T_OPAQUE: return opaque(type, bytes)
    case H5T_VLEN: return .other(description: "variable-length sequence", bytes: bytes)
    case H5T_ARRAY: return .other(description: "array type of \(bytes) bytes", bytes: bytes)
    case H5T_REFERENCE: return .other(description: "reference", bytes: bytes)
    case H5T_BITFIELD: return .other(description: "bit field of \(bytes) bytes", bytes: bytes)
    case H5T_TIME: return .other(description: "time of \(bytes) bytes", bytes: bytes)
    case H5T_NO_CLASS: throw failure()
    default: return .other(description: "unknown type of \(bytes) bytes", bytes: bytes)
    }
  }

  /// nil for neither of the two byte orders.
  private func isBigEndian(_ type: hid_t) -> Bool? {
    switch H5Tget_order(type) {
    case H5T_ORDER_LE, H5T_ORDER_NONE: false
    case H5T_ORDER_BE: true
    default: nil
    }
  }

  private func integer(_ type: hid_t, _ bytes: Int) -> Datatype {
    guard [1, 2, 4, 8].contains(bytes), H5Tget_precision(type) == bytes * 8, let bigEndian = isBigEndian(type) else {
      return .other(description: "an unusual integer of \(bytes) bytes", bytes: bytes)
    }
    // A byte has no order; foreign writers set either.
    return .integer(bytes: bytes, signed: H5Tget_sign(type) == H5T_SGN_2, bigEndian: bytes > 1 && bigEndian)
  }

  private func floatLayout(_ type: hid_t, _ bytes: Int) -> FloatLayout? {
    var fields = (sign: 0, exponentAt: 0, exponent: 0, mantissaAt: 0, mantissa: 0)
    guard
      H5Tget_fields(
        type, &fields.sign, &fields.exponentAt, &fields.exponent, &fields.mantissaAt, &fields.mantissa) >= 0,
      bytes <= 16, let bigEndian = isBigEndian(type), H5Tget_norm(type) == H5T_NORM_IMPLIED,
      let bias = Int(exactly: H5Tget_ebias(type)), (1...32).contains(fields.exponent)
    else { return nil }
    var layout = FloatLayout(bytes: bytes, exponentBits: fields.exponent, bigEndian: bytes > 1 && bigEndian)
    layout.signPosition = fields.sign
    layout.exponentPosition = fields.exponentAt
    layout.mantissaPosition = fields.mantissaAt
    layout.mantissaBits = fields.mantissa
    layout.bias = bias
    return layout
  }

  private func string(_ type: hid_t, _ bytes: Int) throws(HDF5Error) -> Datatype {
    let utf8 = H5Tget_cset(type) == H5T_CSET_UTF8
    let variable = H5Tis_variable_str(type)
    guard variable >= 0 else { throw failure() }
    if variable > 0 { return .variableString(utf8: utf8) }
    switch H5Tget_strpad(type) {
    case H5T_STR_NULLTERM: return .fixedString(bytes: bytes, utf8: utf8, padding: .nullTerminated)
    case H5T_STR_NULLPAD: return .fixedString(bytes: bytes, utf8: utf8, padding: .nullPadded)
    case H5T_STR_SPACEPAD: return .fixedString(bytes: bytes, utf8: utf8, padding: .spacePadded)
    default: return .other(description: "text of unknown padding", bytes: bytes)
    }
  }

  private func enumeration(_ type: hid_t, _ bytes: Int) -> Datatype {
    let count = H5Tget_nmembers(type)
    if bytes == 1, count == 2, enumValue(type, "FALSE") == 0, enumValue(type, "TRUE") == 1 { return .bool }
    return .other(description: "enumeration of \(count) values", bytes: bytes)
  }

  private func enumValue(_ type: hid_t, _ name: String) -> UInt8? {
    var value: UInt8 = 0
    return H5Tenum_valueof(type, name, &value) >= 0 ? value : nil
  }

  private func compound(_ type: hid_t, _ bytes: Int) -> Datatype {
    let count = H5Tget_nmembers(type)
    if count == 2, let real = floatMember(type, 0, "r", at: 0),
      let imaginary = floatMember(type, 1, "i", at: bytes / 2),
      real == imaginary, 2 * real.bytes == bytes
    {
      return .complex(real)
    }
    return .other(description: "compound of \(count) members", bytes: bytes)
  }

  private func floatMember(_ type: hid_t, _ index: UInt32, _ name: StaticString, at offset: Int) -> FloatLayout? {
    guard H5Tget_member_offset(type, index) == offset, let found = H5Tget_member_name(type, index) else { return nil }
    defer { H5free_memory(found) }
    guard String(cString: found) == name.description, H5Tget_member_class(type, index) == H5T_FLOAT else { return nil }
    let member = H5Tget_member_type(type, index)
    guard member >= 0 else { return nil }
    defer { H5Tclose(member) }
    return floatLayout(member, Int(clamping: H5Tget_size(member)))
  }

  private func opaque(_ type: hid_t, _ bytes: Int) -> Datatype {
    guard let tag = H5Tget_tag(type) else { return .opaque(bytes: bytes, tag: "") }
    defer { H5free_memory(tag) }
    return .opaque(bytes: bytes, tag: String(cString: tag))
  }
}
