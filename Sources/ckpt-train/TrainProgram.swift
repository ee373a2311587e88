import ArgumentParser
import Checkpoint
import CommandSupport

/// `ckpt-train`, which `ckpt train` becomes.
struct TrainProgram: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ckpt-train", abstract: TrainArguments.abstract, usage: TrainArguments.usage,
    discussion: TrainArguments.discussion, version: Program.version)

  @OptionGroup var arguments: TrainArguments

  static func main(_ arguments: [String]) -> Int32 {
    Program.refuseArgumentsThatAreNoText() ?? Program.run(TrainProgram.self, arguments)
  }

  func run() throws {
    let code: Int32
    do {
      code = try TrainSession(arguments: arguments).run()
    } catch let error as ConfigErrors {
      Terminal.writeError(error.report)
      code = error.exitCode
    } catch let error as CheckpointError {
      Terminal.writeError(error.report)
      code = error.code.exitCode
    }
    if code != Exit.yes { throw ExitCode(code) }
  }
}
