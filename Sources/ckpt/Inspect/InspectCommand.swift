import ArgumentParser
import Checkpoint
import CheckpointFormats
import CommandSupport

/// `ckpt inspect`
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what is in a checkpoint.",
    usage: "ckpt inspect <file> [<options>]",
    discussion: """
      What the file is, the training state, each optimizer at a glance, and the models' tensors with repeated layers \
      folded. Nothing is run or loaded from the file, however it was made.

      EXAMPLES
        ckpt inspect run.pt
        ckpt inspect run.h5 --tensors --sort size
        ckpt inspect run.h5 --filter '*.attn.*' --stats
        ckpt inspect run.pt --values optimizer.param_groups.0
        ckpt inspect run.h5 --json | jq '.sections[].path'
      """)

  @Argument(help: "The checkpoint.", completion: .file())
  var file: String

  @Flag(help: "Print JSON (schema ckpt.inspect/1).")
  var json = false

  @Flag(help: "Give every tensor its own row, the optimizers' too.")
  var tensors = false

  @Flag(help: "Add min, max, mean, std and the counts of nan, inf and zeros (reads all numbers).")
  var stats = false

  @Option(help: ArgumentHelp("Only tensors whose path or name fits; can be repeated.", valueName: "glob"))
  var filter: [String] = []

  @Option(help: "Order of the tensors; size has the largest first.")
  var sort = Listing.Order.file

  @Option(help: ArgumentHelp("Print the numbers, or all values below a path.", valueName: "path"))
  var values: String?

  func validate() throws {
    if values != nil, json { throw ValidationError("--values prints for people; --json lists all values already.") }
  }

  func run() throws {
    try reportingErrors { () throws(CheckpointError) in
      let start = try FileStart(file)
      let format: Format
      do throws(CheckpointError) {
        format = try Format.input(start)
      } catch {
        // An HDF5 file of other programs can be shown as what it is.
        guard error.code == .unsupported, HDF5Listing.isForeign(start) else { throw error.inFile(file) }
        try Terminal.write(try foreign(start))
        return Exit.yes
      }
      do throws(CheckpointError) {
        try inspect(format, try format.read(file, Format.ReadOptions()))
      } catch {
        throw error.inFile(file)
      }
      return Exit.yes
    }
  }

  private func inspect(_ format: Format, _ opened: Format.Opened) throws(CheckpointError) {
    let root = opened.checkpoint.root
    let terminal = Terminal.output
    if let values {
      var view = ValuesView(terminal)
      return try Terminal.write(try view.text(of: values, in: root))
    }
    let facts = FileFacts(file, format, opened)
    let listing = try Listing(root)
    let rows = listing.rows(matching: filter.map { Glob($0) }, order: sort)
    let statistics = stats ? try self.statistics(listing, rows) : nil
    if json {
      var report = InspectJSON { (piece) throws(CheckpointError) in try Terminal.write(piece) }
      report.hasStatistics = stats
      report.statistics = statistics ?? [:]
      try report.write(facts, listing, rows: rows)
      return leak((opened, listing))
    }
    var view = InspectView(facts, root, listing, terminal)
    view.order = sort
    let isTable = tensors || stats || !filter.isEmpty
    try Terminal.write(isTable ? view.table(rows, statistics: statistics) : view.overview())
  }

  private func statistics(_ listing: Listing, _ rows: [Int]) throws(CheckpointError) -> [Int: Statistics?] {
    let all = try parallelMap(count: rows.count) { (index) throws(CheckpointError) -> Statistics? in
      let row = rows[index]
      do throws(CheckpointError) { return try Statistics(listing.tensors[row].tensor) } catch {
        throw error.at(listing.path(row))
      }
    }
    return Dictionary(zip(rows, all), uniquingKeysWith: { first, _ in first })
  }

  private func foreign(_ start: FileStart) throws(CheckpointError) -> [UInt8] {
    if values != nil {
      throw CheckpointError(
        .unsupported, "an HDF5 file of another program; its numbers are not shown", file: file,
        advice: "h5dump shows them.")
    }
    let listing = try HDF5Listing(file)
    let facts = FileFacts(
      path: file, bytes: start.size, id: "hdf5", name: "HDF5 file", warnings: listing.warnings)
    let view = HDF5View(listing: listing, file: facts)
    return json ? view.json() : view.text(Terminal.output)
  }
}

/// Keeps a value for as long as the process lives: it ends now, and taking ten thousand tensors apart costs a
/// millisecond that nobody has use for.
private func leak(_ value: Any) { _ = Unmanaged.passRetained(Kept(value)) }

private final class Kept {
  private let value: Any
  init(_ value: Any) { self.value = value }
}

extension Listing.Order: ExpressibleByArgument {}

extension FileFacts {
  init(_ path: String, _ format: Format, _ opened: Format.Opened) {
    self.init(
      path: path, bytes: opened.bytes, id: format.id, name: format.name, version: opened.version,
      producer: opened.producer, framework: Framework.name(of: opened.checkpoint.root),
      digest: opened.checkpoint.recordedDigest, warnings: opened.checkpoint.warnings)
  }
}
