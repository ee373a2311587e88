import ArgumentParser
import Checkpoint
import CheckpointFormats
import CommandSupport

/// `ckpt diff`
struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Compare two checkpoints, whatever their formats.",
    usage: "ckpt diff <a> <b> [<options>]",
    discussion: """
      The whole tree: tensors, optimizers, groups, every value, types and order. Exits with 0 when they are equal, \
      with 1 when they are not. All bytes are read; recorded digests are believed only with --trust-digests. With \
      --rtol or --atol numbers are equal when |a - b| <= atol + rtol * |b|; without, when all bits are.

      EXAMPLES
        ckpt diff run.pt run.h5
        ckpt diff a.h5 b.h5 --rtol 1e-5 --ignore 'rng*'
        ckpt diff a.h5 b.h5 --values
      """)

  @Argument(help: "The one checkpoint.", completion: .file())
  var a: String

  @Argument(help: "The other checkpoint.", completion: .file())
  var b: String

  @Option(help: "Relative tolerance.")
  var rtol: Double?

  @Option(help: "Absolute tolerance.")
  var atol: Double?

  @Option(help: ArgumentHelp("Paths not to be looked at; can be repeated.", valueName: "glob"))
  var ignore: [String] = []

  @Flag(help: "Take equal recorded digests as proof, without reading the bytes.")
  var trustDigests = false

  @Flag(help: "Show the first numbers that differ in each tensor, and all differences.")
  var values = false

  @Flag(help: "Print JSON (schema ckpt.diff/1).")
  var json = false

  func validate() throws {
    for tolerance in [rtol, atol] {
      if let tolerance, !(tolerance >= 0) { throw ValidationError("a tolerance must not be negative.") }
    }
  }

  func run() throws {
    try reportingErrors { () throws(CheckpointError) in
      let (first, second) = (try read(a), try read(b))
      var options = Diff.Options()
      if rtol != nil || atol != nil { options.tolerance = Tolerance(rtol: rtol ?? 0, atol: atol ?? 0) }
      options.ignore = ignore.map { Glob($0) }
      options.trustDigests = trustDigests
      if trustDigests, let claim = first.recordedDigest, claim == second.recordedDigest {
        try Terminal.write(json ? DiffView.equalJSON : DiffView.equal(a, b, "by their recorded digests, \(claim)"))
        return Exit.yes
      }
      let diff = try Diff(first.root, second.root, options)
      var view = DiffView(diff: diff, a: (a, first.root), b: (b, second.root), showsValues: values)
      view.reservation = reservation
      try Terminal.write(json ? view.json() : try view.text(Terminal.output))
      return diff.isEqual ? Exit.yes : Exit.no
    }
  }

  /// On what condition the result holds.
  private var reservation: String {
    var words: [String] = []
    if rtol != nil || atol != nil { words.append("within the tolerance") }
    if !ignore.isEmpty { words.append("but for what was ignored") }
    return words.joined(separator: ", ")
  }

  private func read(_ path: String) throws(CheckpointError) -> Checkpoint {
    do throws(CheckpointError) {
      return try Format.input(path).read(path, Format.ReadOptions()).checkpoint
    } catch {
      throw error.inFile(path)
    }
  }
}
