internal import CHDF5

extension Call {
  /// Variable-length text of foreign files.
  ///
  /// Only the references come from libhdf5; see `ckpt_keep_reference` for why the text itself does not.
  func variableStrings(_ attribute: OpenAttribute) throws(HDF5Error) -> AttributeValue {
    let references = try heapReferences(attribute)
    let file = try id(H5Iget_file_id(attribute.id))
    defer { H5Idec_ref(file) }
    var heap = GlobalHeap(descriptor: ckpt_descriptor(file), image: location.image, base: try heapBase(file))
    var texts: [String] = []
    var total = 0
    for reference in references {
      guard let bytes = heap.bytes(reference) else { throw error(.damaged, "its text is not where the file says") }
      total += bytes.count
      guard total <= GlobalHeap.largest else { throw error(.unsupported, "its text is longer than 16 MiB") }
      guard let text = String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self) else {
        throw error(.unsupported, "its text is not UTF-8")
      }
      texts.append(text)
    }
    return attribute.shape == .scalar ? .string(texts[0]) : .strings(texts)
  }

  private func heapReferences(_ attribute: OpenAttribute) throws(HDF5Error) -> [GlobalHeap.Reference] {
    let (size, overflow) = attribute.count.multipliedReportingOverflow(by: Int(CKPT_REFERENCE_BYTES))
    guard !overflow else { throw error(.damaged, "its size overflows") }
    var bytes = [UInt8](repeating: 0, count: size)
    if size > 0 {
      let status = bytes.withUnsafeMutableBytes { H5Aread(attribute.id, lists.reference, $0.baseAddress) }
      try check(status)
    }
    return stride(from: 0, to: size, by: Int(CKPT_REFERENCE_BYTES)).map { GlobalHeap.Reference(bytes, at: $0) }
  }

  /// What addresses count from, in a file whose addresses and lengths have 8 bytes.
  private func heapBase(_ file: hid_t) throws(HDF5Error) -> UInt64 {
    let list = try id(H5Fget_create_plist(file))
    defer { H5Pclose(list) }
    var base: hsize_t = 0
    var addressBytes = 0
    var lengthBytes = 0
    try check(H5Pget_userblock(list, &base))
    try check(H5Pget_sizes(list, &addressBytes, &lengthBytes))
    guard addressBytes == 8, lengthBytes == 8 else {
      throw error(.unsupported, "the file's addresses do not have 8 bytes")
    }
    return UInt64(base)
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
