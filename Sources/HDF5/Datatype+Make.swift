internal import CHDF5

extension Call {
  /// Runs `body` with a libhdf5 datatype that ends with it.
  func withType<T>(_ type: Datatype, _ body: (hid_t) throws(HDF5Error) -> T) throws(HDF5Error) -> T {
    let (made, owned) = try makeType(type)
    defer { if owned { H5Tclose(made) } }
    return try body(made)
  }

  /// Predefined types are the library's own and stay; all others are the caller's to close.
  private func makeType(_ type: Datatype) throws(HDF5Error) -> (type: hid_t, owned: Bool) {
    switch type {
    case .integer(let bytes, let signed, let bigEndian):
      let made = ckpt_integer_type(Int32(clamping: bytes), signed ? 1 : 0, bigEndian ? 1 : 0)
      guard made >= 0 else { throw error(.unsupported, "there is no integer of \(bytes) bytes") }
      return (made, false)
    case .float(let layout): return try makeFloat(layout)
    case .bool: return (try makeBool(), true)
    case .complex(let layout): return (try makeComplex(layout), true)
    case .fixedString(let bytes, let utf8, let padding): return (try makeString(bytes, utf8, padding), true)
    case .opaque(let bytes, let tag): return (try makeOpaque(bytes, tag), true)
    case .variableString, .other: throw error(.unsupported, "\(type) cannot be written")
    }
  }

  private func makeFloat(_ layout: FloatLayout) throws(HDF5Error) -> (type: hid_t, owned: Bool) {
    switch layout.withBigEndian(false) {
    case .float32: return (ckpt_float_type(4, layout.bigEndian ? 1 : 0), false)
    case .float64: return (ckpt_float_type(8, layout.bigEndian ? 1 : 0), false)
    default: return (try makeCustomFloat(layout), true)
    }
  }

  private func makeCustomFloat(_ layout: FloatLayout) throws(HDF5Error) -> hid_t {
    let fields = [layout.signPosition, layout.exponentPosition, layout.exponentBits, layout.mantissaPosition]
    guard (1...8).contains(layout.bytes), layout.bias >= 0, layout.mantissaBits >= 0,
      fields.allSatisfy({ (0..<64).contains($0) })
    else { throw error(.unsupported, "a float of that layout cannot be written") }
    return try finishType(H5Tcopy(ckpt_float_type(8, layout.bigEndian ? 1 : 0))) { type in
      // The fields first: shrinking the precision below a field's end is an error.
      H5Tset_fields(
        type, layout.signPosition, layout.exponentPosition, layout.exponentBits, layout.mantissaPosition,
        layout.mantissaBits) >= 0
        && H5Tset_precision(type, layout.bytes * 8) >= 0
        && H5Tset_size(type, layout.bytes) >= 0
        && H5Tset_ebias(type, layout.bias) >= 0
    }
  }

  private func makeBool() throws(HDF5Error) -> hid_t {
    try finishType(H5Tenum_create(ckpt_integer_type(1, 1, 0))) { type in
      var no: Int8 = 0
      var yes: Int8 = 1
      return H5Tenum_insert(type, "FALSE", &no) >= 0 && H5Tenum_insert(type, "TRUE", &yes) >= 0
    }
  }

  private func makeComplex(_ layout: FloatLayout) throws(HDF5Error) -> hid_t {
    let (part, owned) = try makeFloat(layout)
    defer { if owned { H5Tclose(part) } }
    return try finishType(H5Tcreate(H5T_COMPOUND, 2 * layout.bytes)) { type in
      H5Tinsert(type, "r", 0, part) >= 0 && H5Tinsert(type, "i", layout.bytes, part) >= 0
    }
  }

  private func makeString(
    _ bytes: Int, _ utf8: Bool, _ padding: Datatype.StringPadding
  ) throws(HDF5Error) -> hid_t {
    guard bytes > 0 else { throw error(.unsupported, "fixed-length text needs at least one byte") }
    return try finishType(H5Tcopy(ckpt_c_string())) { type in
      H5Tset_size(type, bytes) >= 0 && H5Tset_cset(type, utf8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII) >= 0
        && H5Tset_strpad(type, padding.code) >= 0
    }
  }

  private func makeOpaque(_ bytes: Int, _ tag: String) throws(HDF5Error) -> hid_t {
    guard bytes > 0, !tag.utf8.contains(0) else {
      throw error(.unsupported, "an opaque type needs at least one byte and a tag without NUL")
    }
    return try finishType(H5Tcreate(H5T_OPAQUE, bytes)) { type in H5Tset_tag(type, tag) >= 0 }
  }

  /// Fits out a new type, or closes it again.
  private func finishType(_ made: hid_t, _ fit: (hid_t) -> Bool) throws(HDF5Error) -> hid_t {
    let type = try id(made)
    guard fit(type) else {
      let error = failure()
      H5Tclose(type)
      throw error
    }
    return type
  }
}

extension Datatype.StringPadding {
  fileprivate var code: H5T_str_t {
    switch self {
    case .nullTerminated: H5T_STR_NULLTERM
    case .nullPadded: H5T_STR_NULLPAD
    case .spacePadded: H5T_STR_SPACEPAD
    }
  }
}
