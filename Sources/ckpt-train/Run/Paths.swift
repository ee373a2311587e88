import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Names of files and folders.
enum Paths {
  /// The folder that a file is in: `.` where the name has none.
  static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: 0x2F) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// A file's name in its folder.
  static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

  /// A path as seen from a folder.
  static func join(_ folder: String, _ path: String) -> String {
    if path.hasPrefix("/") || folder == "." { return path }
    return folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
  }

  /// How to get from a folder to another, both of which are there: `../..`.
  static func relative(from: String, to: String) -> String? {
    guard let from = real(from), let to = real(to) else { return nil }
    let (a, b) = (from.split(separator: "/"), to.split(separator: "/"))
    let common = zip(a, b).prefix { $0 == $1 }.count
    let parts = Array(repeating: "..", count: a.count - common) + b.dropFirst(common).map(String.init)
    return parts.isEmpty ? "." : parts.joined(separator: "/")
  }

  /// The path without links; nil where there is nothing.
  static func real(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}

/// Small files of text.
enum TextFile {
  /// - Throws: `missing`, `inputOutput`, `damaged` where it is no UTF-8 or larger than `limit`.
  static func read(_ path: String, limit: Int) throws(CheckpointError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      let code: CheckpointError.Code = errno == ENOENT || errno == ENOTDIR ? .missing : .inputOutput
      throw CheckpointError(
        code, code == .missing ? "no such file" : "cannot be opened: \(systemMessage(errno))", file: path)
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while bytes.count <= limit {
      let count = take(descriptor, &piece)
      if count == 0 { break }
      guard count > 0 else {
        throw CheckpointError(.inputOutput, "cannot be read: \(systemMessage(errno))", file: path)
      }
      bytes += piece[..<count]
    }
    guard bytes.count <= limit else {
      throw CheckpointError(
        .damaged, "expected a config of at most \(limit) bytes, found more", file: path, advice: "Name the YAML file.")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError(
        .damaged, "expected a config in UTF-8, found other bytes", file: path, advice: "Name the YAML file.")
    }
    return text
  }

  private static func take(_ descriptor: Int32, _ piece: inout [UInt8]) -> Int {
    while true {
      #if canImport(Glibc)
        let count = Glibc.read(descriptor, &piece, piece.count)
      #else
        let count = Darwin.read(descriptor, &piece, piece.count)
      #endif
      if count >= 0 || errno != EINTR { return count }
    }
  }

  /// Writes a file that is there whole or not at all.
  ///
  /// - Throws: `cannotCreate`, `inputOutput`.
  static func write(_ text: String, to path: String) throws(CheckpointError) {
    let temporary = path + ".new"
    guard let file = fopen(temporary, "w") else {
      throw CheckpointError(.cannotCreate, "cannot be created: \(systemMessage(errno))", file: path)
    }
    let bytes = Array(text.utf8)
    let isWritten = fwrite(bytes, 1, bytes.count, file) == bytes.count && fflush(file) == 0
    let status = errno
    let isSynced = isWritten && fsync(fileno(file)) == 0
    guard fclose(file) == 0, isSynced, rename(temporary, path) == 0 else {
      unlink(temporary)
      throw CheckpointError(.inputOutput, "cannot be written: \(systemMessage(status))", file: path)
    }
  }
}
