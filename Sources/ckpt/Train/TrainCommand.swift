import ArgumentParser
import Checkpoint
import CommandSupport

/// `ckpt train`: checks the command line and hands over to `ckpt-train`, so that looking into a checkpoint does not
/// load what training needs.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: TrainArguments.abstract, usage: TrainArguments.usage,
    discussion: TrainArguments.discussion)

  @OptionGroup var arguments: TrainArguments

  func run() throws {
    try reportingErrors { () throws(CheckpointError) in
      // The words as they were given, behind `train`.
      try Handover.start("ckpt-train", Array(CommandLine.arguments.dropFirst(2)))
    }
  }
}
