extension Location {
  /// Refuses what libhdf5 would not take as the name of one link: it would walk a path, stay in place, or cut.
  func checkLinkName(_ name: String, _ operation: String) throws(HDF5Error) {
    let problem: String
    if name.isEmpty {
      problem = "a link name must not be empty"
    } else if name == "." {
      problem = "\".\" is not a link name: it means the group itself"
    } else if name.utf8.contains(0x2F) {
      problem = "a link name must not contain \"/\""
    } else if name.utf8.contains(0) {
      problem = "a link name must not contain NUL"
    } else {
      return
    }
    throw child(name).error(.other, operation, problem)
  }

  /// Attribute names are not paths, so only what C strings cannot hold is refused.
  func checkAttributeName(_ name: String, _ operation: String) throws(HDF5Error) {
    guard !name.isEmpty, !name.utf8.contains(0) else {
      throw error(.other, operation, "an attribute name must not be empty or contain NUL")
    }
  }
}

/// An absolute path that HDF5 can walk: "/" or components that are neither empty nor ".".
func isObjectPath(_ path: String) -> Bool {
  guard path.utf8.first == 0x2F, !path.utf8.contains(0) else { return false }
  return path.utf8.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false)
    .allSatisfy { !$0.isEmpty && !($0.count == 1 && $0.first == 0x2E) }
}
