#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The built command, run as a process of its own.
enum Binary {
  struct Result: Sendable {
    /// The exit code, or 128 and the number of the signal that ended it.
    var code: Int32
    var output: String
    var error: String
  }

  static let root: String = {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  static func fixture(_ name: String) -> String { "\(root)/fixtures/\(name)" }

  static var path: String {
    #if DEBUG
      "\(root)/.build/debug/ckpt"
    #else
      "\(root)/.build/release/ckpt"
    #endif
  }

  /// Runs `ckpt` with these arguments; its output goes through files in `scratch`.
  ///
  /// - Parameters:
  ///   - program: another place that it lies in.
  ///   - environment: `NAME=value`s instead of this process's.
  static func run(
    _ arguments: [String], _ scratch: Scratch, fullDisk: Bool = false, program: String = path,
    environment: [String]? = nil
  ) -> Result {
    let (out, err) = (scratch.path("stdout"), scratch.path("stderr"))
    #if canImport(Darwin)
      var actions: posix_spawn_file_actions_t?
    #else
      var actions = posix_spawn_file_actions_t()
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, fullDisk ? "/dev/full" : out, flags, 0o600)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err, flags, 0o600)
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    defer { for word in words { free(word) } }
    words.append(nil)
    let variables: [UnsafeMutablePointer<CChar>?]? = environment.map { $0.map { strdup($0) } + [nil] }
    defer { for variable in variables ?? [] { free(variable) } }
    var process = pid_t()
    let started =
      if let variables { posix_spawn(&process, program, &actions, nil, words, variables) } else {
        posix_spawn(&process, program, &actions, nil, words, environ)
      }
    guard started == 0 else {
      return Result(code: -1, output: "", error: "cannot start \(program)")
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return Result(
      code: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: fullDisk ? "" : scratch.read("stdout"),
      error: scratch.read("stderr"))
  }
}

/// A folder that goes when the test ends.
final class Scratch: Sendable {
  let folder: String

  init() {
    var template = Array("/tmp/ckpt-test-XXXXXX".utf8CString)
    folder = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
  }

  deinit { Self.remove(folder) }

  /// A folder and all that is in it.
  private static func remove(_ folder: String) {
    for name in names(in: folder) where unlink("\(folder)/\(name)") != 0 { remove("\(folder)/\(name)") }
    rmdir(folder)
  }

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  func write(_ name: String, _ bytes: [UInt8]) -> String {
    if let file = fopen(path(name), "w") {
      fwrite(bytes, 1, bytes.count, file)
      fclose(file)
    }
    return path(name)
  }

  func bytes(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var result: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { result += piece[..<count] }
    return result
  }

  func read(_ name: String) -> String { String(decoding: bytes(path(name)), as: UTF8.self) }

  /// What is in the folder, the command's own output aside.
  func names() -> [String] { Self.names(in: folder) }

  static func names(in folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}
