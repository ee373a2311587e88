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
  }
}
