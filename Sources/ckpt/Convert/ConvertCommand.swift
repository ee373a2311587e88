public import ArgumentParser
public import Checkpoint
public import CheckpointFormats
import CommandSupport

/// `ckpt convert`
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Turn a checkpoint into another format, losslessly.",
    usage: "ckpt convert <in> ... <out> [<options>]",
    discussion: """
      The output's format is that of its name (.h5: ckpt's HDF5, .pt, .safetensors, .npz, .gguf, .weights.h5, .dcp: \
      a folder for torch.distributed.checkpoint; ckpt formats lists them), or --to. Without options the output holds \
      what the input holds, and a warning names what it cannot hold. Several inputs are joined into one. A pattern may fit a tensor's \
      path (model.fc.weight) or its name (fc.weight); * is any run of characters, dots included.

      EXAMPLES
        ckpt convert run.pt run.h5
        ckpt convert run.h5 run.pt
        ckpt convert model_dir optimizer_dir run.h5
        ckpt convert run.h5 out_dir --to dcp --shards 8
        ckpt convert run.h5 run.safetensors
        ckpt convert run.h5 out_dir --to safetensors --max-shard-size 5GB
        ckpt convert run.pt weights.pt --model-only --dtype bfloat16
        ckpt convert ddp.pt plain.h5 --strip-prefix module.
        ckpt convert old.pt new.pt --rename '^encoder\\.=backbone.'
        ckpt convert damaged.pt rest.h5 --salvage
      """)

  @Argument(help: ArgumentHelp("Inputs, then the output.", valueName: "in... out"), completion: .file())
  var files: [String]

  @Option(help: ArgumentHelp("Format of the inputs, instead of what their content says.", valueName: "kind"))
  var from: FormatKind?

  @Option(help: ArgumentHelp("Format of the output, instead of what its name says.", valueName: "kind"))
  var to: FormatKind?

  @Option(help: ArgumentHelp("Convert only what is at this path.", valueName: "path"))
  var key: String?

  @Option(help: ArgumentHelp("Keep only tensors that fit; can be repeated.", valueName: "glob"))
  var include: [String] = []

  @Option(help: ArgumentHelp("Leave out what fits; can be repeated.", valueName: "glob"))
  var exclude: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Rename parameters by a regular expression; can be repeated.", valueName: "regex=template"))
  var rename: [String] = []

  @Option(help: ArgumentHelp("Take a prefix off parameter names; can be repeated.", valueName: "prefix"))
  var stripPrefix: [String] = []

  @Option(
    help: ArgumentHelp(
      "Cast floating-point weights, or the tensors that fit; can be repeated.", valueName: "[glob=]dtype"))
  var dtype: [String] = []

  @Flag(help: "Keep the models, and leave out optimizers and everything else.")
  var modelOnly = false

  @Option(
    help: ArgumentHelp(
      "Call an optimizer's parameters by ids, as PyTorch does, by names, or (flat, for dcp) by names without groups.",
      valueName: "how"))
  var optimizerKeys: Transform.OptimizerKeys?

  @Option(help: ArgumentHelp("How many files a distributed checkpoint is spread over.", valueName: "n"))
  var shards = 1

  @Option(
    help: ArgumentHelp("Split a safetensors output into files of at most this size (5GB, 500MB).", valueName: "size"))
  var maxShardSize: ByteCount?

  @Option(
    help: ArgumentHelp("Turn the kernels of a Keras file into torch's, or torch's into Keras'.", valueName: "whose"))
  var layout: Format.KernelLayout?

  @Flag(help: "Decode the quantised tensors of a GGUF file to float32.")
  var dequantize = false

  @Option(help: "Kind of digest that an .h5 records.")
  var digest = DigestName.xxh3

  @Flag(help: "Do not check the input against the checksums in it.")
  var noVerifySource = false

  @Flag(help: "Take what is intact of a damaged or truncated file, list what is lost, and exit with 1.")
  var salvage = false

  @Flag(help: "Replace the output if it is there.")
  var overwrite = false

  @Flag(help: "Print nothing but warnings and errors.")
  var quiet = false

  @Flag(help: "Print a summary as JSON (schema ckpt.convert/1).")
  var json = false

  enum DigestName: String, CaseIterable, ExpressibleByArgument {
    case xxh3, sha256

    var algorithm: Digest.Algorithm { self == .xxh3 ? .xxh3 : .sha256 }
  }

  func validate() throws {
    guard files.count > 1 else { throw ValidationError("an input and an output are needed.") }
    if salvage, noVerifySource {
      throw ValidationError("--salvage needs the checksums that --no-verify-source passes over.")
    }
    guard (1...1024).contains(shards) else { throw ValidationError("--shards takes a number from 1 to 1024.") }
    if files.contains("-") { throw ValidationError("'-' is no file name; pipes are not supported.") }
  }

  func run() throws {
    try reportingErrors { () throws(CheckpointError) in
      let done = try Conversion(self).run()
      warn(done.warnings)
      if json { try Terminal.write(done.json()) } else if !quiet { try Terminal.write(done.text()) }
      return done.lost.isEmpty ? Exit.yes : Exit.no
    }
  }

  /// What the options change in the tree.
  func transform() throws(CheckpointError) -> Transform {
    var transform = Transform()
    transform.include = include.map { Glob($0) }
    transform.exclude = exclude.map { Glob($0) }
    transform.stripPrefixes = stripPrefix
    for text in rename { transform.renames.append(try Rename(text)) }
    for text in dtype { transform.casts.append(try CastRule(text)) }
    transform.modelOnly = modelOnly
    transform.key = key
    transform.optimizerKeys = optimizerKeys
    return transform
  }
}

extension FormatKind: ExpressibleByArgument {
  /// What help and completion offer; the others are named in an error.
  public static var allValueStrings: [String] { Format.readableKinds.map(\.rawValue) }
}
extension Transform.OptimizerKeys: ExpressibleByArgument {}
extension Format.KernelLayout: ExpressibleByArgument {}
