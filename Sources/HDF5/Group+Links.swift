internal import CHDF5

extension Group {
  /// Number of links in the group, without walking them.
  public var linkCount: Int {
    get throws(HDF5Error) {
      try Library.locked(location, "count links") { (call) throws(HDF5Error) in try call.linkCount(location.id) }
    }
  }

  /// All links, in order of creation when the group keeps it, else of name.
  ///
  /// - Parameter objects: Also look up each object's kind and reference count, which takes some ten times longer.
  /// - Throws: `unsupported`, naming it, for a link name that is not UTF-8.
  public func links(objects: Bool = true) throws(HDF5Error) -> [Link] {
    try Library.locked(location, "list links") { (call) throws(HDF5Error) in
      let found = try call.entries(location.id)
      var links: [Link] = []
      links.reserveCapacity(found.count)
      for entry in found { links.append(try call.link(entry, in: location.id, objects: objects)) }
      return links
    }
  }

  /// What the hard link `name` leads to.
  ///
  /// - Throws: `notFound`; what following a link of another kind throws.
  public func object(_ name: String) throws(HDF5Error) -> ObjectInfo {
    let child = try self.child(name, "look up object")
    return try Library.locked(child, "look up object") { (call) throws(HDF5Error) in
      var object = ckpt_object()
      try call.check(ckpt_get_object(location.id, name, &object))
      return ObjectInfo(object)
    }
  }

  /// Whether there is a link of that name; where it leads is not looked at.
  public func exists(_ name: String) throws(HDF5Error) -> Bool {
    let child = try self.child(name, "look up link")
    return try Library.locked(child, "look up link") { (call) throws(HDF5Error) in
      let answer = H5Lexists(location.id, name, ckpt_default())
      try call.check(answer)
      return answer > 0
    }
  }

  /// Removes a link. The object goes with its last hard link; its space is not given back.
  public func remove(_ name: String) throws(HDF5Error) {
    let child = try self.child(name, "remove link")
    try Library.locked(child, "remove link") { (call) throws(HDF5Error) in
      guard H5Lexists(location.id, name, ckpt_default()) != 0 else {
        throw call.error(.notFound, "there is no such link")
      }
      try call.check(H5Ldelete(location.id, name, ckpt_default()))
    }
  }

  /// Gives an object of this file one more name.
  ///
  /// - Parameter path: The object's absolute path, such as "/model/layer.0". Its components may hold any character
  ///   but "/" and NUL.
  /// - Throws: `notFound` for a path that leads nowhere, `exists` when the name is taken.
  public func createHardLink(_ name: String, to path: String) throws(HDF5Error) {
    let child = try self.child(name, "create hard link")
    guard isObjectPath(path) else {
      throw child.error(.other, "create hard link", "\"\(path)\" is not an absolute path in the file")
    }
    try Library.locked(child, "create hard link") { (call) throws(HDF5Error) in
      try call.check(H5Lcreate_hard(location.id, path, location.id, name, call.lists.link, ckpt_default()))
    }
  }
}

/// A link as the iteration has found it. The name's bytes are copied, since libhdf5 ends them with the visit.
private struct Entry {
  var name: String?
  var rawName: [UInt8]
  var type: H5L_type_t
  var order: Int64
  var address: UInt64
  var valueSize: Int
}

extension Call {
  fileprivate func linkCount(_ group: hid_t) throws(HDF5Error) -> Int {
    var info = H5G_info_t()
    try check(H5Gget_info(group, &info))
    guard let count = Int(exactly: info.nlinks) else {
      throw error(.damaged, "a count of \(info.nlinks) links cannot be")
    }
    return count
  }

  fileprivate func entries(_ group: hid_t) throws(HDF5Error) -> [Entry] {
    let byCreation = try keepsLinkOrder(group)
    var entries: [Entry] = []
    // A claimed count is a hint, never an amount to allocate.
    entries.reserveCapacity(min(try linkCount(group), 1 << 16))
    let status = withUnsafeMutablePointer(to: &entries) { pointer in
      ckpt_iterate_links(group, byCreation ? 1 : 0, appendEntry, pointer)
    }
    try check(status)
    if byCreation {
      entries.sort { $0.order < $1.order }
    } else {
      entries.sort { ($0.name ?? "") < ($1.name ?? "") }
    }
    return entries
  }

  private func keepsLinkOrder(_ group: hid_t) throws(HDF5Error) -> Bool {
    let list = try id(H5Gget_create_plist(group))
    defer { H5Pclose(list) }
    var flags: UInt32 = 0
    try check(H5Pget_link_creation_order(list, &flags))
    return flags & ckpt_order_tracked() != 0
  }

  fileprivate func link(_ entry: Entry, in group: hid_t, objects: Bool) throws(HDF5Error) -> Link {
    guard let name = entry.name else {
      let shown = String(decoding: entry.rawName, as: UTF8.self)
      throw error(.unsupported, "the link name \"\(shown)\" is not UTF-8 (bytes \(entry.rawName))")
    }
    guard entry.type == H5L_TYPE_HARD else {
      return Link(name: name, kind: try linkKind(entry, name, in: group), address: nil, object: nil)
    }
    var info: ObjectInfo?
    if objects {
      var object = ckpt_object()
      guard ckpt_get_object(group, name, &object) >= 0 else {
        let cause = failure()
        throw location.child(name).error(cause.kind, operation, cause.reason)
      }
      info = ObjectInfo(object)
    }
    return Link(name: name, kind: .hard, address: entry.address, object: info)
  }

  private func linkKind(_ entry: Entry, _ name: String, in group: hid_t) throws(HDF5Error) -> Link.Kind {
    switch entry.type {
    case H5L_TYPE_SOFT:
      let value = try linkValue(entry, name, in: group)
      return .soft(target: value.text)
    case H5L_TYPE_EXTERNAL:
      // A byte of version and flags, the file name, NUL, the object's path, NUL.
      let fields = try linkValue(entry, name, in: group).dropFirst().split(
        separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
      guard fields.count == 2 else { throw error(.damaged, "the external link \"\(name)\" has no target") }
      return .external(file: Array(fields[0]).text, target: Array(fields[1]).text)
    default: return .userDefined
    }
  }

  private func linkValue(_ entry: Entry, _ name: String, in group: hid_t) throws(HDF5Error) -> [UInt8] {
    guard entry.valueSize <= 1 << 20 else { throw error(.damaged, "the target of link \"\(name)\" is too long") }
    var bytes = [UInt8](repeating: 0, count: entry.valueSize)
    let status = bytes.withUnsafeMutableBytes {
      H5Lget_val(group, name, $0.baseAddress, $0.count, ckpt_default())
    }
    try check(status)
    return bytes
  }
}

extension [UInt8] {
  /// The text before the first NUL. For showing only: what is not UTF-8 is replaced.
  fileprivate var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}

private let appendEntry: ckpt_link_visitor = { link, context in
  guard let link, let context, let name = link.pointee.name else { return -1 }
  let text = String(validatingCString: name)
  let raw = text == nil ? Array(UnsafeRawBufferPointer(start: name, count: strlen(name))) : []
  context.assumingMemoryBound(to: [Entry].self).pointee.append(
    Entry(
      name: text, rawName: raw, type: H5L_type_t(Int32(link.pointee.type)), order: link.pointee.order,
      address: link.pointee.address,
      valueSize: link.pointee.value_size))
  return 0
}
