import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Turns this process into another program that is installed with it.
enum Handover {
  /// Looks for the program beside this one, then on PATH, and becomes it.
  ///
  /// - Returns: never, but where the program cannot be started.
  /// - Throws: `inputOutput` when there is no such program, or it cannot be started.
  static func start(_ name: String, _ arguments: [String]) throws(CheckpointError) -> Int32 {
    let folders = ownFolders()
    let candidates = (folders + pathFolders()).map { "\($0)/\(name)" }
    guard let program = candidates.first(where: isProgram) else {
      let place = folders.first.map { "neither beside ckpt in \($0) nor on PATH" } ?? "not on PATH"
      throw CheckpointError(
        .inputOutput, "\(name), the program that trains, is \(place)",
        advice: "Install it where ckpt is: make install does.")
    }
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    words.append(nil)
    // What this process ignores, the next one would too.
    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)
    execv(program, words)
    let status = errno
    for word in words { free(word) }
    throw CheckpointError(
      .inputOutput, "cannot start it: \(String(cString: strerror(status)))", file: program,
      advice: "Check its permissions, or install it again.")
  }

  /// The folder that this program is in, and that of the link it was called by.
  private static func ownFolders() -> [String] {
    var folders: [String] = []
    for path in [ownPath(), CommandLine.arguments.first].compactMap(\.self) {
      guard let slash = path.utf8.lastIndex(of: 0x2F) else { continue }
      let folder = slash == path.startIndex ? "" : String(path[..<slash])
      if !folders.contains(folder) { folders.append(folder) }
    }
    return folders
  }

  private static func ownPath() -> String? {
    #if canImport(Darwin)
      var size: UInt32 = 0
      _NSGetExecutablePath(nil, &size)
      var path = [CChar](repeating: 0, count: Int(size) + 1)
      guard _NSGetExecutablePath(&path, &size) == 0, let real = realpath(path, nil) else { return nil }
    #else
      guard let real = realpath("/proc/self/exe", nil) else { return nil }
    #endif
    defer { free(real) }
    return String(cString: real)
  }

  private static func pathFolders() -> [String] {
    guard let path = getenv("PATH") else { return [] }
    return String(cString: path).split(separator: ":").map(String.init)
  }

  private static func isProgram(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
  }
}
