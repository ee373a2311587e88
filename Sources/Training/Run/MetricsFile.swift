public import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// `metrics.csv` of a run: one row for each logged step.
///
/// Rows are written in batches. A process that is killed loses the last ones, or leaves half a line; so when a run goes
/// on, rows after its step are cut off, and those that its checkpoint knows and the file lacks are put back.
public final class MetricsFile {
  public static let header = "step,epoch,loss,lr,grad_norm,val_loss,samples_per_second"

  public let path: String
  private let descriptor: Int32
  private var pending: [UInt8] = []
  private var lastWrite = ContinuousClock.now

  /// Opens the file of a run that is at `step`.
  ///
  /// - Parameter rows: what the run's checkpoint holds. Where `step` is 0 the file begins anew.
  /// - Throws: `cannotCreate`, `inputOutput`.
  public init(_ path: String, step: Int, rows: [Metrics.Row]) throws(CheckpointError) {
    self.path = path
    let kept = step > 0 ? try Self.keptLines(path, upTo: step) : []
    var text = Array((Self.header + "\n").utf8)
    for line in Self.merged(kept, rows, upTo: step) { text += line + [0x0A] }
    // A file of its own first: what was there is not lost should this fail.
    let temporary = path + ".new"
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Self.failure(.cannotCreate, "cannot be created", path) }
    do throws(CheckpointError) {
      try Self.write(&text, to: descriptor, path)
      guard rename(temporary, path) == 0 else { throw Self.failure(.cannotCreate, "cannot be replaced", path) }
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
  }

  deinit {
    try? flush()
    close(descriptor)
  }

  /// Adds a row. It reaches the file within a second if more follow, and with `flush()`.
  ///
  /// - Throws: `inputOutput`; the rows are tried again next time.
  public func append(_ row: Metrics.Row, samplesPerSecond: Double) throws(CheckpointError) {
    pending += Self.line(row, samplesPerSecond) + [0x0A]
    guard pending.count > 1 << 16 || lastWrite.secondsSince > 0.5 else { return }
    try flush()
  }

  public func flush() throws(CheckpointError) {
    guard !pending.isEmpty else { return }
    lastWrite = ContinuousClock.now
    try Self.write(&pending, to: descriptor, path)
  }

  // MARK: - Text

  static func line(_ row: Metrics.Row, _ samplesPerSecond: Double?) -> [UInt8] {
    let speed = samplesPerSecond.map { text(($0 * 10).rounded() / 10) } ?? ""
    let numbers = [row.epoch, row.loss, row.learningRate, row.gradNorm, row.validationLoss].map(text)
    return Array(([String(row.step)] + numbers + [speed]).joined(separator: ",").utf8)
  }

  /// In as few digits as give the same number back; nothing for what was not measured.
  private static func text(_ number: Double) -> String { number.isNaN ? "" : number.description }

  /// The rows up to `step`, each step once and in order; where both have one, the file's, which knows the speed.
  private static func merged(_ kept: [(step: Int, line: [UInt8])], _ rows: [Metrics.Row], upTo step: Int) -> [[UInt8]] {
    var lines: [(step: Int, line: [UInt8])] = []
    func take(_ found: (step: Int, line: [UInt8])) {
      if found.step > lines.last?.step ?? 0 { lines.append(found) }
    }
    var rest = kept[...]
    for row in rows where row.step <= step {
      while let first = rest.first, first.step <= row.step {
        take(first)
        rest.removeFirst()
      }
      take((row.step, line(row, nil)))
    }
    for found in rest { take(found) }
    return lines.map(\.line)
  }

  /// The whole lines of the file there is, up to a step. One that is torn or foreign is left out.
  private static func keptLines(_ path: String, upTo step: Int) throws(CheckpointError) -> [(step: Int, line: [UInt8])]
  {
    guard let bytes = try read(path) else { return [] }
    var found: [(step: Int, line: [UInt8])] = []
    // The piece behind the last line break is no whole line.
    for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast().dropFirst() {
      let fields = line.split(separator: 0x2C, omittingEmptySubsequences: false)
      guard fields.count == 7, let number = Int(String(decoding: fields[0], as: UTF8.self)), number <= step else {
        continue
      }
      found.append((number, Array(line)))
    }
    return found
  }

  // MARK: - Files

  private static func read(_ path: String) throws(CheckpointError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw failure(.inputOutput, "cannot be read", path)
    }
    defer { close(descriptor) }
    var result: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Self.read(descriptor, &piece)
      guard count != 0 else { return result }
      guard count > 0 else { throw failure(.inputOutput, "cannot be read", path) }
      result += piece[..<count]
    }
  }

  private static func read(_ descriptor: Int32, _ piece: inout [UInt8]) -> Int {
    while true {
      #if canImport(Glibc)
        let count = Glibc.read(descriptor, &piece, piece.count)
      #else
        let count = Darwin.read(descriptor, &piece, piece.count)
      #endif
      if count >= 0 || errno != EINTR { return count }
    }
  }

  /// Writes the bytes and takes away those that are written: after a failure the rest is there to be tried again.
  private static func write(_ bytes: inout [UInt8], to descriptor: Int32, _ path: String) throws(CheckpointError) {
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { rest in
        #if canImport(Glibc)
          Glibc.write(descriptor, rest.baseAddress, rest.count)
        #else
          Darwin.write(descriptor, rest.baseAddress, rest.count)
        #endif
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(.inputOutput, "cannot be written", path) }
      bytes.removeFirst(count)
    }
  }

  private static func failure(_ code: CheckpointError.Code, _ what: String, _ path: String) -> CheckpointError {
    CheckpointError(code, "\(what): \(systemMessage(errno))", file: path)
  }
}
