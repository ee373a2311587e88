package import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the command writes to, and what that can show.
package struct Terminal: Sendable {
  /// Columns of the terminal; nil when the output is none: then nothing is cut.
  package var width: Int?
  package var hasColour: Bool

  package init(width: Int?, hasColour: Bool) {
    self.width = width
    self.hasColour = hasColour
  }

  package static let plain = Terminal(width: nil, hasColour: false)

  /// As standard output is.
  package static var output: Terminal {
    guard isatty(STDOUT_FILENO) == 1 else { return .plain }
    return Terminal(width: width(of: STDOUT_FILENO), hasColour: !isSet("NO_COLOR") && !isDumb)
  }

  /// Columns of the terminal that errors go to.
  package static var errorWidth: Int { width(of: STDERR_FILENO) }

  private static func width(of descriptor: Int32) -> Int {
    var size = winsize()
    let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return isKnown ? Int(size.ws_col) : 80
  }

  package static var errorsAreSeen: Bool { isatty(STDERR_FILENO) == 1 && !isDumb }

  /// Whether the locale has Unicode.
  package static var showsUnicode: Bool {
    for name in ["LC_ALL", "LC_CTYPE", "LANG"] where isSet(name) {
      let value = getenv(name).map { String(cString: $0).lowercased() } ?? ""
      return value.contains("utf-8") || value.contains("utf8")
    }
    return false
  }

  private static func isSet(_ name: String) -> Bool { getenv(name).map { $0.pointee != 0 } ?? false }

  private static var isDumb: Bool { getenv("TERM").map { String(cString: $0) == "dumb" } ?? true }

  // MARK: - Writing

  /// Writes all of the bytes to standard output. A reader that went away (`| head`) is no failure.
  ///
  /// - Throws: `inputOutput` when the output is a file on a full disk, say.
  package static func write(_ bytes: [UInt8]) throws(CheckpointError) {
    let status = write(bytes, to: STDOUT_FILENO)
    guard status == 0 || status == EPIPE else {
      throw CheckpointError(.inputOutput, "cannot write to standard output: \(systemMessage(status))")
    }
  }

  package static func writeError(_ text: String) { _ = write(Array(text.utf8), to: STDERR_FILENO) }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
    bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        #if canImport(Glibc)
          let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        #else
          let count = Darwin.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        #endif
        if count < 0, errno == EINTR { continue }
        if count < 0 { return errno }
        rest = rest.dropFirst(count)
      }
      return 0
    }
  }
}
