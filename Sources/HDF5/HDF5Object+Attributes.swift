internal import CHDF5

extension HDF5Object where Self: ~Copyable {
  /// Names of all attributes, in order of creation when the object keeps it, else of name.
  ///
  /// - Throws: `unsupported` for a name that is not UTF-8.
  public func attributeNames() throws(HDF5Error) -> [String] {
    let location = location
    return try Library.locked(location, "list attributes") { (call) throws(HDF5Error) in
      try call.attributeNames(location.id)
    }
  }

  public func hasAttribute(_ name: String) throws(HDF5Error) -> Bool {
    let location = location
    try location.checkAttributeName(name, "look up attribute")
    return try Library.locked(location, "look up attribute \"\(name)\"") { (call) throws(HDF5Error) in
      let answer = H5Aexists(location.id, name)
      try call.check(answer)
      return answer > 0
    }
  }

  /// Removes an attribute, which is the way to write another one of that name.
  public func removeAttribute(_ name: String) throws(HDF5Error) {
    let location = location
    try location.checkAttributeName(name, "remove attribute")
    try Library.locked(location, "remove attribute \"\(name)\"") { (call) throws(HDF5Error) in
      try call.check(H5Adelete(location.id, name))
    }
  }

  /// Writes a new attribute. Scalars stay scalars; arrays have one dimension; integers are stored in 64 bits, text in
  /// as many UTF-8 bytes as it needs, padded with NUL.
  ///
  /// - Throws: `exists` when there is one of that name; `unsupported` for text that fixed-length storage would change
  ///   and for types that cannot be written.
  public func writeAttribute(_ name: String, _ value: AttributeValue) throws(HDF5Error) {
    let location = location
    try location.checkAttributeName(name, "write attribute")
    try Library.locked(location, "write attribute \"\(name)\"") { (call) throws(HDF5Error) in
      try call.writeAttribute(location.id, name, try call.encode(value))
    }
  }

  /// Writes a new attribute of one text of variable length: what h5py reads as a `str`, and not as bytes.
  ///
  /// - Throws: `exists` when there is one of that name; `unsupported` for text with NUL.
  public func writeVariableText(_ name: String, _ text: String) throws(HDF5Error) {
    let location = location
    try location.checkAttributeName(name, "write attribute")
    try Library.locked(location, "write attribute \"\(name)\"") { (call) throws(HDF5Error) in
      guard !text.utf8.contains(0) else { throw call.error(.unsupported, "text with NUL would be cut there") }
      guard H5Aexists(location.id, name) <= 0 else { throw call.error(.exists, "there is an attribute of that name") }
      try call.check(ckpt_write_text(location.id, name, text, call.lists.attribute))
    }
  }

  /// Writes a one-dimensional attribute of 32-bit unsigned integers: 4 bytes for each.
  public func writeAttribute(_ name: String, _ values: [UInt32]) throws(HDF5Error) {
    let location = location
    try location.checkAttributeName(name, "write attribute")
    try Library.locked(location, "write attribute \"\(name)\"") { (call) throws(HDF5Error) in
      try call.writeAttribute(location.id, name, type: .uint32, shape: .simple([values.count])) { (attribute, type) in
        values.withUnsafeBytes { $0.isEmpty ? 0 : H5Awrite(attribute, type, $0.baseAddress) }
      }
    }
  }

  /// Reads an attribute.
  ///
  /// - Throws: `notFound`; `unsupported` above 16 MiB and for variable-length data other than text.
  public func readAttribute(_ name: String) throws(HDF5Error) -> AttributeValue {
    let location = location
    try location.checkAttributeName(name, "read attribute")
    return try Library.locked(location, "read attribute \"\(name)\"") { (call) throws(HDF5Error) in
      try call.withAttribute(location.id, name) { (attribute) throws(HDF5Error) in try call.value(attribute) }
    }
  }

  /// Reads a one-dimensional attribute of 32-bit unsigned integers.
  ///
  /// - Throws: `notFound`; `unsupported` for any other type or shape and above 16 MiB.
  public func readUInt32Attribute(_ name: String) throws(HDF5Error) -> [UInt32] {
    let location = location
    try location.checkAttributeName(name, "read attribute")
    return try Library.locked(location, "read attribute \"\(name)\"") { (call) throws(HDF5Error) in
      try call.withAttribute(location.id, name) { (attribute) throws(HDF5Error) in
        guard attribute.type == .uint32, case .simple(let dimensions) = attribute.shape, dimensions.count == 1 else {
          throw call.error(.unsupported, "\(attribute.type) of \(attribute.shape) is not a list of uint32")
        }
        return try call.elements(attribute, as: attribute.typeID, zero: UInt32(0))
      }
    }
  }
}

extension Call {
  fileprivate func attributeNames(_ object: hid_t) throws(HDF5Error) -> [String] {
    var names: [AttributeName] = []
    let byCreation = try keepsAttributeOrder(object)
    let index = byCreation ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME
    var position: hsize_t = 0
    let status = withUnsafeMutablePointer(to: &names) {
      // Unsorted, for the same reason as links.
      H5Aiterate2(object, index, H5_ITER_NATIVE, &position, appendAttributeName, $0)
    }
    try check(status)
    if byCreation {
      names.sort { $0.order < $1.order }
    } else {
      names.sort { ($0.text ?? "") < ($1.text ?? "") }
    }
    return try names.map { (name) throws(HDF5Error) in
      guard let text = name.text else {
        throw error(.unsupported, "the attribute name \"\(String(decoding: name.raw, as: UTF8.self))\" is not UTF-8")
      }
      return text
    }
  }

  private func keepsAttributeOrder(_ object: hid_t) throws(HDF5Error) -> Bool {
    let isDataset = H5Iget_type(object) == H5I_DATASET
    let list = try id(isDataset ? H5Dget_create_plist(object) : H5Gget_create_plist(object))
    defer { H5Pclose(list) }
    var flags: UInt32 = 0
    try check(H5Pget_attr_creation_order(list, &flags))
    return flags & ckpt_order_tracked() != 0
  }
}

private struct AttributeName {
  var text: String?
  var raw: [UInt8]
  var order: UInt32
}

private let appendAttributeName: H5A_operator2_t = { _, name, info, context in
  guard let name, let info, let context else { return -1 }
  let text = String(validatingCString: name)
  let raw = text == nil ? Array(UnsafeRawBufferPointer(start: name, count: strlen(name))) : []
  context.assumingMemoryBound(to: [AttributeName].self).pointee.append(
    AttributeName(text: text, raw: raw, order: info.pointee.corder))
  return 0
}
