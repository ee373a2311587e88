public import Checkpoint
import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The folder that a run's files lie in: `step-00000500.h5`, `best.h5`, `metrics.csv`.
public struct RunFolder: Sendable {
  public let path: String

  public init(_ path: String) { self.path = path }

  /// The checkpoint of a step.
  public func file(ofStep step: Int) -> String { "\(path)/\(Self.name(ofStep: step))" }

  /// The checkpoint with the smallest validation loss so far.
  public var best: String { "\(path)/best.h5" }

  /// Where a run that met a loss that is no number leaves what it had. Resuming never takes this file.
  public func failureFile(ofStep step: Int) -> String {
    "\(path)/failed-\(Self.name(ofStep: step))"
  }

  /// `step-00000500.h5`: at least eight digits.
  static func name(ofStep step: Int) -> String {
    let digits = String(step)
    return "step-\(String(repeating: "0", count: max(0, 8 - digits.utf8.count)))\(digits).h5"
  }

  /// The step that a file is named for; nil for other names, and other spellings of a step.
  public static func step(ofName name: String) -> Int? {
    guard name.hasPrefix("step-"), name.hasSuffix(".h5"), let step = Int(name.dropFirst(5).dropLast(3)), step >= 0,
      self.name(ofStep: step) == name
    else { return nil }
    return step
  }

  /// Whether a file has the name of a run's checkpoint.
  public static func isStep(_ name: String) -> Bool { step(ofName: name) != nil }

  /// The steps that there are checkpoints of, in order; empty when there is no such folder.
  ///
  /// - Throws: `inputOutput` when the folder cannot be listed.
  public func steps() throws(CheckpointError) -> [Int] {
    guard let folder = opendir(path) else {
      // Where a file is in the way, making the folder says so.
      if errno == ENOENT || errno == ENOTDIR { return [] }
      throw CheckpointError(.inputOutput, "cannot list the folder: \(systemMessage(errno))", file: path)
    }
    defer { closedir(folder) }
    var steps: [Int] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: tuple.pointee)) {
          String(cString: $0)
        }
      }
      if let step = Self.step(ofName: name) { steps.append(step) }
    }
    return steps.sorted()
  }

  /// Whether there is a checkpoint of a step.
  func has(step: Int) -> Bool { access(file(ofStep: step), F_OK) == 0 }

  /// A checkpoint that was not taken, and why.
  public struct PassedOver: Sendable {
    public let file: String
    public let reason: String
  }

  /// The newest checkpoint whose digest verifies, and the newer ones that were passed over. An unfinished save leaves
  /// no file under such a name, but a disk may lose what it was given.
  ///
  /// - Throws: `inputOutput` when the folder cannot be listed.
  public func newest() throws(CheckpointError) -> (step: Int?, passedOver: [PassedOver]) {
    var passedOver: [PassedOver] = []
    for step in try steps().reversed() {
      let file = file(ofStep: step)
      do throws(CheckpointError) {
        let report = try NativeFormat.verify(file)
        guard let problem = report.problems.first else { return (step, passedOver) }
        passedOver.append(PassedOver(file: file, reason: "\(problem.place): \(problem.what)"))
      } catch {
        passedOver.append(PassedOver(file: file, reason: error.message))
      }
    }
    return (nil, passedOver)
  }

  /// Makes the folder and those above it.
  ///
  /// - Throws: `cannotCreate`.
  public func create() throws(CheckpointError) {
    var end = path.startIndex
    while end < path.endIndex {
      end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
      let part = String(path[..<end])
      guard mkdir(part, 0o777) != 0, errno != EEXIST else { continue }
      let reason = systemMessage(errno)
      var status = stat()
      if stat(part, &status) == 0 { continue }
      throw CheckpointError(
        .cannotCreate, "cannot make the folder: \(reason)", file: path, advice: "Choose another with --out.")
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw CheckpointError(
        .cannotCreate, "cannot make the folder: there is a file of this name", file: path,
        advice: "Choose another with --out.")
    }
    guard access(path, W_OK | X_OK) == 0 else {
      throw CheckpointError(
        .cannotCreate, "cannot write into the folder: \(systemMessage(errno))", file: path,
        advice: "Choose another with --out.")
    }
  }

  /// Removes the checkpoints that the policy does not keep, now that the one of `newest` is safe. A checkpoint of a
  /// later step, which another life of the run has left, stays.
  func retire(by policy: CheckpointPolicy, newest: Int) throws(CheckpointError) {
    guard let keep = policy.keep else { return }
    let passed = try steps().filter { $0 <= newest }
    for step in passed.dropLast(max(keep, 1)) {
      if let keepEvery = policy.keepEvery, keepEvery > 0, step % keepEvery == 0 { continue }
      unlink(file(ofStep: step))
    }
  }
}
