internal import CHDF5

extension Call {
  /// Variable-length text of foreign files, which libhdf5 hands out as C strings of its own.
  func variableStrings(_ attribute: OpenAttribute) throws(HDF5Error) -> AttributeValue {
    let pointers = try elements(attribute, as: attribute.typeID, zero: UnsafeMutablePointer<CChar>?.none)
    defer { for pointer in pointers { H5free_memory(pointer) } }
    var texts: [String] = []
    var total = 0
    for pointer in pointers {
      guard let pointer else {
        texts.append("")
        continue
      }
      total += strlen(pointer)
      guard total <= 16 << 20 else { throw error(.unsupported, "its text is longer than 16 MiB") }
      guard let text = String(validatingCString: pointer) else {
        throw error(.unsupported, "its text is not UTF-8")
      }
      texts.append(text)
    }
    return attribute.shape == .scalar ? .string(texts[0]) : .strings(texts)
  }

  /// Whether elements of the type hold variable-length text, at any depth. `H5Tdetect_class` sees such text as text.
  func hasVariableText(_ type: hid_t, depth: Int = 0) -> Bool {
    switch H5Tget_class(type) {
    case H5T_STRING: return H5Tis_variable_str(type) != 0
    case H5T_ARRAY, H5T_ENUM:
      let base = H5Tget_super(type)
      guard base >= 0 else { return true }
      defer { H5Tclose(base) }
      return depth > 16 || hasVariableText(base, depth: depth + 1)
    case H5T_COMPOUND:
      for index in 0..<UInt32(clamping: H5Tget_nmembers(type)) {
        let member = H5Tget_member_type(type, index)
        guard member >= 0 else { return true }
        defer { H5Tclose(member) }
        if depth > 16 || hasVariableText(member, depth: depth + 1) { return true }
      }
      return false
    default: return false
    }
  }
}
