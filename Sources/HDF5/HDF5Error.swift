/// A failed operation on an HDF5 file: what was tried, where, and why it did not work.
public struct HDF5Error: Error, Sendable {
  /// The cause, as far as a program can act on it.
  public enum Kind: String, Sendable, Equatable {
    /// The file, link or attribute does not exist.
    case notFound
    /// The file exists but does not start an HDF5 file.
    case notHDF5
    /// The file ends before its own header says it does.
    case truncated
    /// The file's structures contradict each other or fail their checksums.
    case damaged
    /// The file uses a feature that this module does not take part in.
    case unsupported
    /// The operating system refused or failed.
    case inputOutput
    /// The disk or the quota is full.
    case noSpace
    /// Something of that name is there already.
    case exists
    /// A wrong argument, or a cause that the library does not tell.
    case other
  }

  public let kind: Kind
  /// Path of the file, as the caller gave it.
  public let file: String
  /// Path of the object in the file; "/" for the file itself.
  public let path: String
  /// What was tried, such as "open dataset".
  public let operation: String
  /// Why it failed, in one line.
  public let reason: String

  public init(kind: Kind, file: String, path: String, operation: String, reason: String) {
    self.kind = kind
    self.file = file
    self.path = path
    self.operation = operation
    self.reason = reason
  }
}

extension HDF5Error: CustomStringConvertible {
  /// File, object, operation and reason in one line; control characters are escaped, since names in a file are
  /// foreign input and may hold terminal commands.
  public var description: String {
    let place = path == "/" || path.isEmpty ? file : "\(file): \(path)"
    return printable("\(place): cannot \(operation): \(reason)")
  }
}

/// `text` with its control characters and line breaks written as escapes.
func printable(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: result += scalar.escaped(asASCII: true)
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
