import ArgumentParser
import Checkpoint

/// `ckpt`
struct Root: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ckpt", abstract: "Checkpoints with weights and optimizer state: look, convert, verify, compare.",
    discussion: """
      Reads and writes PyTorch's .pt and ckpt's own HDF5 files, which any HDF5 tool can open. Formats are recognised \
      by content; the output's by its name's ending.

      EXAMPLES
        ckpt inspect run.pt
        ckpt convert run.pt run.h5
        ckpt verify run.h5
        ckpt diff run.pt run.h5

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
    subcommands: [InspectCommand.self, ConvertCommand.self, VerifyCommand.self, DiffCommand.self])

  static let version = "0.1.0"

  /// Runs the command line and gives the exit code. ArgumentParser's own `main` would print errors in its own way.
  static func run(_ arguments: [String]? = nil) -> Int32 {
    if let damaged = argumentThatIsNoText() {
      Terminal.writeError(
        "ckpt: error: the argument \(printable(damaged)) is not UTF-8\n  Rename the file, or reach it by a link.\n")
      return Exit.usage
    }
    let given = arguments ?? Array(CommandLine.arguments.dropFirst())
    if let word = given.first, !word.hasPrefix("-"), !words.contains(word) {
      let commands = words.dropLast().joined(separator: ", ")
      Terminal.writeError(
        "ckpt: error: there is no command '\(printable(word))'\n  The commands are \(commands); see ckpt --help.\n")
      return Exit.usage
    }
    do {
      var command = try parseAsRoot(given)
      try command.run()
      return Exit.yes
    } catch let code as ExitCode {
      return code.rawValue
    } catch {
      return finish(error)
    }
  }

  /// What the first word may be; `help` last.
  private static let words = ["inspect", "convert", "verify", "diff", "help"]

  /// Swift puts a sign in place of bytes that are no UTF-8, and with it a name would be another file's.
  private static func argumentThatIsNoText() -> String? {
    for case let argument? in UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc))
    where String(validatingCString: argument) == nil {
      return String(cString: argument)
    }
    return nil
  }

  /// Help, version and completion scripts come as errors too.
  private static func finish(_ error: any Error) -> Int32 {
    let code = exitCode(for: error).rawValue
    guard code != 0 else {
      do throws(CheckpointError) {
        try Terminal.write(Array((fullMessage(for: error) + "\n").utf8))
        return code
      } catch {
        Terminal.writeError(error.report)
        return error.code.exitCode
      }
    }
    // One line of what, one of what to do: the usage that ArgumentParser adds is in --help.
    let message = message(for: error).split(separator: "\n").joined(separator: " ")
    Terminal.writeError("ckpt: error: \(printable(message))\n  \(advice(for: error))\n")
    return Exit.usage
  }

  private static func advice(for error: any Error) -> String {
    let usage = fullMessage(for: error).split(separator: "\n").first { $0.hasPrefix("Usage: ") }
    return usage.map { "\(printable(String($0))); --help explains them." } ?? "See ckpt --help."
  }
}
