/// What went wrong with a checkpoint: which file, at which place in it, and what to do.
public struct CheckpointError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure; the command turns it into an exit code.
  public enum Code: Sendable {
    /// The input is damaged, hostile, or says something its format does not allow.
    case damaged
    /// The input is of a kind, version or feature that is not supported.
    case unsupported
    /// There is no such input file.
    case missing
    /// The output cannot be created, or is already there.
    case cannotCreate
    /// Reading or writing failed on the way (disk full, device error).
    case inputOutput
    /// The request makes no sense (an unknown path, clashing options).
    case usage
  }

  public var code: Code
  /// One line: what was expected and what was found.
  public var message: String
  /// The file, as the user named it.
  public var file: String?
  /// Where in the file: a byte offset, a record, a key path.
  public var place: String?
  /// One line: what the user can do.
  public var advice: String?

  public init(_ code: Code, _ message: String, file: String? = nil, place: String? = nil, advice: String? = nil) {
    self.code = code
    self.message = message
    self.file = file
    self.place = place
    self.advice = advice
  }

  /// The same error, with the file named where it was not yet.
  public func inFile(_ path: String) -> CheckpointError {
    var copy = self
    if copy.file == nil { copy.file = path }
    return copy
  }

  /// The same error, with a place put before the one it has.
  public func at(_ outer: String) -> CheckpointError {
    var copy = self
    copy.place = copy.place.map { "\(outer): \($0)" } ?? outer
    return copy
  }

  public var description: String {
    var parts: [String] = []
    if let file { parts.append(file) }
    if let place { parts.append(place) }
    parts.append(message)
    let line = parts.joined(separator: ": ")
    guard let advice else { return line }
    return "\(line)\n\(advice)"
  }
}
