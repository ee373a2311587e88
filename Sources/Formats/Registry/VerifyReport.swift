import Checkpoint

/// What `verify` found in one file, whatever its format.
public struct VerifyReport: Sendable {
  /// Something that is not as it should be, and where.
  public struct Problem: Sendable {
    /// A path in the file, a record, a byte offset.
    public var place: String
    public var what: String

    public init(_ place: String, _ what: String) {
      self.place = place
      self.what = what
    }
  }

  /// What was checked, in words.
  public var checked: [String] = []
  /// Damage. Empty when all is well.
  public var problems: [Problem] = []
  /// What is odd but no damage.
  public var warnings: [String] = []

  public init() {}

  public var isSound: Bool { problems.isEmpty }

  /// Does something; gives what it throws of damage as a problem.
  ///
  /// - Parameters:
  ///   - place: where it is, if the error does not say.
  ///   - namesFile: whether the file is named too, as where it is one of many.
  static func problem(
    at place: String? = nil, namesFile: Bool = true, _ body: () throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> [Problem] {
    do throws(CheckpointError) {
      try body()
      return []
    } catch {
      guard error.code == .damaged || error.code == .unsupported else { throw error }
      let parts = [namesFile ? error.file : nil, error.place ?? place].compactMap { $0 }
      return [Problem(parts.isEmpty ? "folder" : parts.joined(separator: ": "), error.message)]
    }
  }
}
