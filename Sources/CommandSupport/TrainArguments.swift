package import ArgumentParser

/// The words of `ckpt train`. `ckpt` knows them too, for its help and completions, though another program trains.
package struct TrainArguments: ParsableArguments {
  package static let abstract = "Train a model by a config, with checkpoints that resume exactly."
  package static let usage = """
    ckpt train <config> [<options>]
    ckpt train --resume <file|dir> [<options>]
    """
  package static let discussion = """
    The config is YAML and checked whole before anything runs. The run's files go to its 'out' folder: checkpoints \
    (step-00000500.h5), best.h5 and metrics.csv. Ctrl-C or SIGTERM saves and ends with 0. A checkpoint holds all \
    that resuming needs, its config too; the run goes on to the same bits as if it had not been stopped. A \
    config given beside --resume takes the place of the stored one: so a PyTorch checkpoint goes on here.

    EXAMPLES
      ckpt train digits.yaml
      ckpt train digits.yaml --set optimizer.adamw.lr=3e-4 --out runs/b
      ckpt train --resume runs/b
      ckpt train --resume runs/b/step-00000500.h5 --steps 2000
      ckpt train digits.yaml --resume torch_run.pt
    """

  @Argument(help: "The run's config, a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
  package var config: String?

  @Option(
    help: ArgumentHelp(
      "Go on from this checkpoint, or from the newest sound one in this folder.", valueName: "file|dir"),
    completion: .file())
  package var resume: String?

  @Option(help: ArgumentHelp("The run's folder, instead of the config's.", valueName: "dir"), completion: .directory)
  package var out: String?

  @Option(
    help: ArgumentHelp(
      "First run: stop after step n, the target stays. With --resume also raises the target to n.", valueName: "n"))
  package var steps: Int?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Change a value of the config (data.batch=64); can be repeated.", valueName: "key=value"))
  package var set: [String] = []

  @Flag(help: "Replace the run that is in the folder.")
  package var overwrite = false

  @Option(
    help: ArgumentHelp(
      "On resume, whose lr, betas, weight_decay count: the stored optimizer's or the config's. What --set names wins.",
      valueName: "whose"))
  package var hyperparameters = Hyperparameters.stored

  @Option(
    help: ArgumentHelp(
      "Weights that a checkpoint may lack; behind optimizer., parameters whose optimizer state it may lack.",
      valueName: "glob"))
  package var allowMissing: [String] = []

  @Option(
    help: ArgumentHelp("Weights of a checkpoint that may be left out; can be repeated.", valueName: "glob"))
  package var allowUnexpected: [String] = []

  @Flag(help: "Print nothing but warnings and errors.")
  package var quiet = false

  @Flag(help: "Print a summary as JSON at the end (schema ckpt.train/1).")
  package var json = false

  /// Who wins when a run is resumed.
  package enum Hyperparameters: String, CaseIterable, ExpressibleByArgument, Sendable {
    case stored, config
  }

  package init() {}

  package func validate() throws {
    if config == nil, resume == nil { throw ValidationError("a config, or --resume, is needed.") }
    if let out, out.isEmpty { throw ValidationError("--out takes a folder's name, found nothing.") }
    if let steps, steps < 1 { throw ValidationError("--steps must be 1 or more, found \(steps).") }
    if overwrite, resume != nil { throw ValidationError("--overwrite and --resume exclude each other.") }
    for text in set where !text.contains("=") || text.hasPrefix("=") {
      throw ValidationError("--set takes key=value, found '\(text)'.")
    }
  }
}
