package import ArgumentParser
import Checkpoint

/// Runs a command line and gives the exit code. ArgumentParser's own `main` would print errors in its own way.
package enum Program {
  package static let version = "0.1.0"

  package static func run<Root: ParsableCommand>(_ root: Root.Type, _ arguments: [String]) -> Int32 {
    do {
      var command = try Root.parseAsRoot(arguments)
      try command.run()
      return Exit.yes
    } catch let code as ExitCode {
      return code.rawValue
    } catch {
      return finish(Root.self, error)
    }
  }

  /// Refuses arguments that are no text: Swift puts a sign in place of bytes that are no UTF-8, and with it a name
  /// would be another file's.
  ///
  /// - Returns: the exit code, after a message; nil when all is well.
  package static func refuseArgumentsThatAreNoText() -> Int32? {
    for case let argument? in UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc))
    where String(validatingCString: argument) == nil {
      Terminal.writeError(
        "ckpt: error: the argument \(printable(String(cString: argument))) is not UTF-8\n"
          + "  Rename the file, or reach it by a link.\n")
      return Exit.usage
    }
    return nil
  }

  /// Help, version and completion scripts come as errors too.
  private static func finish<Root: ParsableCommand>(_ root: Root.Type, _ error: any Error) -> Int32 {
    let code = Root.exitCode(for: error).rawValue
    guard code != 0 else {
      do throws(CheckpointError) {
        try Terminal.write(Array((Root.fullMessage(for: error) + "\n").utf8))
        return code
      } catch {
        Terminal.writeError(error.report)
        return error.code.exitCode
      }
    }
    // One line of what, one of what to do: the usage that ArgumentParser adds is in --help.
    let message = Root.message(for: error).split(separator: "\n").joined(separator: " ")
    Terminal.writeError("ckpt: error: \(printable(message))\n  \(advice(Root.self, error))\n")
    return Exit.usage
  }

  private static func advice<Root: ParsableCommand>(_ root: Root.Type, _ error: any Error) -> String {
    let usage = Root.fullMessage(for: error).split(separator: "\n").first { $0.hasPrefix("Usage: ") }
    return usage.map { "\(printable(String($0))); --help explains them." } ?? "See ckpt --help."
  }
}
