import ArgumentParser
import Checkpoint
import CheckpointFormats
import CommandSupport

/// `ckpt verify`
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check that checkpoints are whole and undamaged.",
    usage: "ckpt verify <file> ... [<options>]",
    discussion: """
      Reads every byte. Of ckpt's own files everything is checked: structure, each tensor's digest, the content \
      digest. Of a .pt: structure, bounds, and CRC-32 where the file records it. Exits with 1 when damage is found.

      EXAMPLES
        ckpt verify run.h5
        ckpt verify --finite runs/*.h5
        ckpt verify --json run.pt
      """)

  @Argument(help: "The checkpoints.", completion: .file())
  var files: [String]

  @Flag(help: "Also look for NaN and infinite numbers.")
  var finite = false

  @Flag(help: "Also fail on what is odd but no damage, as missing checksums.")
  var strict = false

  @Flag(help: "Print JSON (schema ckpt.verify/1).")
  var json = false

  func run() throws {
    try reportingErrors { () throws(CheckpointError) in
      var results: [VerifyResult] = []
      var failure: Int32 = Exit.yes
      for file in files {
        do throws(CheckpointError) {
          let result = VerifyResult(path: file, report: try verify(file))
          results.append(result)
          if !json { try Terminal.write(result.text(Terminal.output)) }
        } catch {
          let error = error.inFile(file)
          Terminal.writeError(error.report)
          if failure == Exit.yes { failure = error.code.exitCode }
          results.append(VerifyResult(path: file, error: error))
        }
      }
      if json { try Terminal.write(VerifyResult.json(results)) }
      return failure != Exit.yes ? failure : results.allSatisfy(\.isSound) ? Exit.yes : Exit.no
    }
  }

  private func verify(_ path: String) throws(CheckpointError) -> VerifyReport {
    let format = try Format.input(path)
    var report = try format.verify(path)
    if finite, report.isSound { try checkNumbers(path, format, &report) }
    if strict {
      report.problems += report.warnings.map { VerifyReport.Problem("file", $0) }
      report.warnings = []
    }
    return report
  }

  private func checkNumbers(
    _ path: String, _ format: Format, _ report: inout VerifyReport
  ) throws(CheckpointError) {
    var options = Format.ReadOptions()
    options.verifies = false
    let listing = try Listing(try format.read(path, options).checkpoint.root)
    // In what a run has measured, NaN stands for a step at which nobody did.
    let rows = listing.tensors.indices.filter {
      listing.tensors[$0].aliasOf == nil && !listing.path($0).hasPrefix("training.metrics.")
    }
    let found = try parallelMap(count: rows.count) { (index) throws(CheckpointError) -> String in
      let tensor = listing.tensors[rows[index]].tensor
      guard try !tensor.allFinite() else { return "" }
      guard let statistics = try Statistics(tensor) else { return "has NaN or infinite numbers" }
      return "has \(grouped(statistics.nan)) NaN and \(grouped(statistics.inf)) infinite of "
        + "\(grouped(tensor.count)) numbers"
    }
    for (row, what) in zip(rows, found) where !what.isEmpty {
      report.problems.append(VerifyReport.Problem(listing.path(row), what))
    }
    for row in listing.values {
      if case .double(let number) = row.value, !number.isFinite {
        report.problems.append(VerifyReport.Problem(row.path, "is \(python(number))"))
      }
    }
    report.checked.append("that the numbers of \(counted(rows.count, "tensor")) are finite")
  }
}

/// What came of one file.
struct VerifyResult: Sendable {
  var path: String
  var report = VerifyReport()
  /// Why it could not be looked at.
  var error: CheckpointError?

  init(path: String, report: VerifyReport) { (self.path, self.report) = (path, report) }

  init(path: String, error: CheckpointError) {
    self.path = path
    self.error = error
    report.problems = [VerifyReport.Problem(error.place ?? "file", error.message)]
  }

  var isSound: Bool { error == nil && report.isSound }

  func text(_ terminal: Terminal) -> [UInt8] {
    let style = Style(isOn: terminal.hasColour)
    let name = printable(path)
    var lines: [String] = []
    if isSound {
      lines.append("\(name): \(style.good("sound"))")
    } else {
      lines.append("\(name): \(style.bad("not sound")), \(counted(report.problems.count, "problem"))")
    }
    lines += report.problems.map { "  \(style.bad("problem")) \(printable($0.place)): \(printable($0.what))" }
    lines += report.warnings.map { "  \(style.warning("odd")) \(printable($0))" }
    lines += report.checked.map { style.dim("  checked \(printable($0))") }
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  static func json(_ results: [VerifyResult]) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key(plain: "schema")
    json.string("ckpt.verify/1")
    json.key(plain: "ok")
    json.bool(results.allSatisfy(\.isSound))
    json.key(plain: "files")
    json.beginArray()
    for result in results {
      json.newline(indent: 2)
      json.beginObject()
      json.key(plain: "path")
      json.string(result.path)
      json.key(plain: "ok")
      json.bool(result.isSound)
      json.key(plain: "checked")
      json.strings(result.report.checked)
      json.key(plain: "problems")
      json.beginArray()
      for problem in result.report.problems {
        json.beginObject()
        json.key(plain: "where")
        json.string(problem.place)
        json.key(plain: "what")
        json.string(problem.what)
        json.endObject()
      }
      json.endArray()
      json.endObject()
    }
    json.endArray()
    json.endObject()
    return json.bytes + [0x0A]
  }
}
