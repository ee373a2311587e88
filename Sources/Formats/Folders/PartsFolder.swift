import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder whose files are the parts of one checkpoint. No file outside it is ever opened, whatever its files claim.
struct PartsFolder: Sendable {
  let path: String
  /// The names in it, in the order of their bytes.
  let names: [String]
  private let known: Set<Key>
  /// The path without links.
  private let root: String

  /// - Throws: `missing` where there is no such folder.
  init(_ path: String) throws(CheckpointError) {
    guard let names = Self.names(in: path), let resolved = realpath(path, nil) else {
      throw CheckpointError(.missing, "cannot list the folder: \(systemMessage(errno))", file: path)
    }
    defer { free(resolved) }
    (self.path, self.names, root) = (path, names, String(cString: resolved))
    known = Set(names.map(Key.string))
  }

  /// The names in a folder, in the order of their bytes; nil where it cannot be listed.
  static func names(in path: String) -> [String]? {
    guard let listing = opendir(path) else { return nil }
    defer { closedir(listing) }
    var names: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  func has(_ name: String) -> Bool { known.contains(.string(name)) }

  /// Whether a name in the folder is a folder.
  func isFolder(_ name: String) -> Bool {
    var status = stat()
    return stat("\(path)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// - Throws: `damaged` for a name that is a link out of the folder.
  func checkBelow(_ name: String) throws(CheckpointError) {
    try checkName(name)
    try checkLinks(name)
  }

  /// Maps one of the folder's files.
  ///
  /// - Parameter name: as a file claims it: a name, or a path downwards.
  /// - Throws: `damaged` for one that is missing, no file, or not in the folder.
  func map(_ name: String) throws(CheckpointError) -> MappedFile {
    try checkName(name)
    let resolved = try checkLinks(name)
    // Opening a pipe would wait for somebody to write into it.
    var status = stat()
    guard stat(resolved, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(.damaged, "'\(name)' is no regular file", file: path)
    }
    return try MappedFile("\(path)/\(name)")
  }

  /// - Returns: the path without links.
  /// - Throws: `damaged` for what is missing, or lies outside of the folder.
  @discardableResult
  private func checkLinks(_ name: String) throws(CheckpointError) -> String {
    let full = "\(path)/\(name)"
    guard let resolved = realpath(full, nil) else {
      guard errno == ENOENT || errno == ENOTDIR else {
        throw CheckpointError(.inputOutput, "cannot open: \(systemMessage(errno))", file: full)
      }
      throw CheckpointError(
        .damaged, "the file '\(name)' is missing", file: path,
        advice: "All files of the folder belong together; copy them all.")
    }
    defer { free(resolved) }
    let target = String(cString: resolved)
    guard target.utf8.starts(with: (root == "/" ? root : root + "/").utf8) else {
      throw CheckpointError(
        .damaged, "'\(name)' is a link that leads out of the folder", file: path,
        advice: "Put the file itself there if you trust it.")
    }
    return target
  }

  /// - Throws: `damaged` for what is no name, or path downwards, in the folder.
  func checkName(_ name: String) throws(CheckpointError) {
    let parts = name.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
    let isPlain = name.utf8.count <= 1024 && !name.utf8.contains(0)
    guard isPlain, parts.allSatisfy({ !$0.isEmpty && !$0.elementsEqual("..".utf8) && !$0.elementsEqual(".".utf8) })
    else {
      throw CheckpointError(
        .damaged, "names the file '\(name.prefix(200))', which is no name inside the folder", file: path,
        advice: "A checkpoint that reaches for files elsewhere was made to attack; do not load it with Python.")
    }
  }
}

/// Some names for a sentence: the first of them, and how many there are where that is not all.
func listed(_ names: [String], most: Int = 8) -> String {
  names.prefix(most).joined(separator: ", ") + (names.count > most ? ", … (\(names.count) in all)" : "")
}
