import ArgumentParser
import Checkpoint
import CommandSupport

/// `ckpt`
struct Root: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ckpt",
    abstract: "Checkpoints with weights and optimizer state: look, convert, verify, compare, train.",
    discussion: """
      Reads and writes PyTorch's .pt, distributed checkpoints, safetensors and others (ckpt formats lists them), and \
      ckpt's own HDF5 files, which any HDF5 tool can open. Formats are recognised by content; the output's by its \
      name's ending.

      EXAMPLES
        ckpt inspect run.pt
        ckpt convert run.pt run.h5
        ckpt verify run.h5
        ckpt diff run.pt run.h5
        ckpt train run.yaml

      EXIT CODES
        0   yes, or done
        1   no: damage was found, or differences
        64  the command line is wrong
        65  the input is damaged, hostile, or of a kind not supported
        66  there is no such input
        73  the output cannot be created
        74  reading or writing failed (a full disk, say)
      """,
    version: version,
    subcommands: [
      InspectCommand.self, ConvertCommand.self, VerifyCommand.self, DiffCommand.self, TrainCommand.self,
      FormatsCommand.self,
    ])

  static let version = Program.version

  /// Runs the command line and gives the exit code.
  static func run(_ arguments: [String]? = nil) -> Int32 {
    if let code = Program.refuseArgumentsThatAreNoText() { return code }
    let given = arguments ?? Array(CommandLine.arguments.dropFirst())
    if let word = given.first, !word.hasPrefix("-"), !words.contains(word) {
      let commands = words.dropLast().joined(separator: ", ")
      Terminal.writeError(
        "ckpt: error: there is no command '\(printable(word))'\n  The commands are \(commands); see ckpt --help.\n")
      return Exit.usage
    }
    return Program.run(Root.self, given)
  }

  /// What the first word may be; `help` last.
  private static let words = ["inspect", "convert", "verify", "diff", "train", "formats", "help"]
}
