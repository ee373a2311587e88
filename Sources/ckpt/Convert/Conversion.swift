import Checkpoint
import CheckpointFormats
import CommandSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// One run of `convert`: read, join, change, write.
struct Conversion {
  private let command: ConvertCommand
  private let inputs: [String]
  private let output: String

  init(_ command: ConvertCommand) {
    self.command = command
    inputs = Array(command.files.dropLast())
    output = command.files.last ?? ""
  }

  func run() throws(CheckpointError) -> Converted {
    var transform = try command.transform()
    let target = try Format.output(output, kind: command.to)
    if command.optimizerKeys == .flat, target.kind != .dcp {
      throw CheckpointError(
        .usage, "only distributed checkpoints have flat optimizers", file: output,
        advice: "Use --optimizer-keys names, or write a distributed checkpoint with --to dcp.")
    }
    if command.maxShardSize != nil, target.kind != .safetensors {
      throw CheckpointError(
        .usage, "only safetensors are split by size", file: output,
        advice: "Add --to safetensors; a distributed checkpoint is split with --shards.")
    }
    let opened = try read()
    try refuseIdleOptions(opened.map(\.format), target)
    try refuseExisting()
    let joined = try Transform.join(zip(inputs, opened).map { (label: $0, root: $1.checkpoint.root) })
    var warnings = opened.flatMap(\.checkpoint.warnings)

    if target.kind == .dcp, transform.optimizerKeys == nil { useNames(joined, &transform, &warnings) }

    // PyTorch's writer takes no digests, so they are taken as the bytes pass.
    let takesDigests = target.kind != .ckpt
    var checked = try checkedTree(joined, all: takesDigests)
    var lost: [Salvage.Loss] = []
    if command.salvage {
      let salvage = try Salvage(checked)
      (checked, lost) = (salvage.root, salvage.losses)
      warnings += lost.map { "lost: \($0.path) (\($0.reason))" }
    }
    let changed: Transform.Result
    do throws(CheckpointError) { changed = try transform.apply(to: checked) } catch { throw error.inFile(inputs[0]) }
    warnings += changed.warnings

    let total = TensorTable(changed.root).tensors.reduce(0) { $0 + $1.byteCount }
    let written = try write(changed.root, target, total)
    warnings += written.warnings + changed.overflowWarnings
    var digest = written.contentDigest
    // With other kernels than the tree's, what the file holds has another digest.
    if digest == nil, takesDigests, command.layout != .keras {
      digest = try CheckedSource.contentDigest(of: changed.root)
    }
    let bytes: Int
    if let known = written.bytes { bytes = known } else { bytes = try FileStart(output).totalSize }
    return Converted(
      inputs: inputs, output: written.path ?? output, format: target,
      bytes: bytes, tensors: TensorTable(changed.root).tensors.count, digest: digest,
      isLossless: transform.isIdentity && command.layout == nil && inputs.count == 1 && written.warnings.isEmpty
        && lost.isEmpty,
      lost: lost.map(\.path), warnings: warnings)
  }

  /// `torch.distributed.checkpoint.state_dict` keys optimizers by names; so does a distributed checkpoint, where they
  /// are known.
  private func useNames(_ root: Value, _ transform: inout Transform, _ warnings: inout [String]) {
    let optimizers = ParameterNames.resolve(in: root)
    let numbered = optimizers.filter { path, _ in
      root[path].flatMap { OptimizerState($0) }?.keys.contains { if case .string = $0 { false } else { true } } ?? false
    }
    guard !numbered.isEmpty else { return }
    guard optimizers.allSatisfy({ $0.names.isComplete }) else {
      warnings.append("the optimizer's parameters keep their numbers: not all of their names could be told")
      return
    }
    transform.optimizerKeys = .names
    warnings.append(
      "the optimizer's parameters are called by their names, as torch.distributed.checkpoint.state_dict does; "
        + "--optimizer-keys ids keeps the numbers")
  }

  /// As many as the system lets this process have: all files of a folder are written at once.
  private func allowOpenFiles() {
    var limit = rlimit()
    guard getrlimit(openFilesLimit, &limit) == 0, limit.rlim_cur < min(limit.rlim_max, 4096) else { return }
    limit.rlim_cur = min(limit.rlim_max, 4096)
    _ = setrlimit(openFilesLimit, &limit)
  }

  private func read() throws(CheckpointError) -> [(format: Format, checkpoint: Checkpoint)] {
    var options = Format.ReadOptions()
    options.verifies = !command.noVerifySource
    options.salvages = command.salvage
    options.dequantizes = command.dequantize
    options.layout = command.layout
    var result: [(format: Format, checkpoint: Checkpoint)] = []
    for path in inputs {
      do throws(CheckpointError) {
        let format = try Format.input(path, kind: command.from)
        let checkpoint = try format.read(path, options).checkpoint
        // Where each tensor has a digest of its own, it is checked as its bytes pass.
        if options.verifies, !options.salvages, format.kind != .ckpt { try checkpoint.checkContent() }
        result.append((format, checkpoint))
      } catch {
        throw error.inFile(path)
      }
    }
    return result
  }

  /// An option that would do nothing is a mistake, and nobody should take its output for what was asked for.
  private func refuseIdleOptions(_ inputs: [Format], _ target: Format) throws(CheckpointError) {
    let kinds = inputs.map(\.kind)
    let idle: (option: String, what: String)? =
      if command.dequantize, !kinds.contains(.gguf) {
        ("--dequantize", "no input is a GGUF file")
      } else if command.layout == .torch, !kinds.contains(.keras), !kinds.contains(.kerasWeights) {
        ("--layout torch", "no input is a file of Keras")
      } else if command.layout == .keras, target.kind != .kerasWeights {
        ("--layout keras", "the output is no .weights.h5")
      } else {
        nil
      }
    guard let idle else { return }
    throw CheckpointError(.usage, "\(idle.option) does nothing here: \(idle.what)", file: output)
  }

  /// Said before any work; the writer makes sure of it once more.
  private func refuseExisting() throws(CheckpointError) {
    guard !command.overwrite, access(output, F_OK) == 0 else { return }
    throw CheckpointError(
      .cannotCreate, "exists already", file: output, advice: "Choose another name, or add --overwrite to replace it.")
  }

  private func checkedTree(_ root: Value, all: Bool) throws(CheckpointError) -> Value {
    if command.noVerifySource { return all ? try CheckedSource.hashing(root) : root }
    return try CheckedSource.checking(root, all: all)
  }

  private func write(_ root: Value, _ target: Format, _ total: Int) throws(CheckpointError) -> Format.Written {
    guard let write = target.write else { throw CheckpointError(.usage, "\(target.name) files cannot be written") }
    let progress = Progress(total: total, isOn: Terminal.errorsAreSeen && !command.quiet)
    defer { progress.end() }
    var options = Format.WriteOptions()
    options.replaces = command.overwrite
    options.digest = command.digest.algorithm
    options.shards = command.shards
    options.maximumShardSize = command.maxShardSize?.bytes
    options.layout = command.layout
    options.weightsAlone = command.modelOnly
    if command.shards > 64 || command.maxShardSize != nil { allowOpenFiles() }
    options.flattensOptimizers = command.optimizerKeys == .flat
    options.progress = { progress.advance($0) }
    do throws(CheckpointError) {
      return try write(root, output, options)
    } catch {
      throw located(error)
    }
  }

  /// A failure of the input that shows when its bytes are written is the input's, whatever the writer says.
  private func located(_ error: CheckpointError) -> CheckpointError {
    guard error.code == .damaged, inputs.count == 1, error.file == output || error.file == nil else { return error }
    var copy = error
    copy.file = inputs[0]
    return copy
  }
}

/// What came of a conversion.
struct Converted: Sendable {
  var inputs: [String]
  var output: String
  var format: Format
  var bytes: Int
  var tensors: Int
  var digest: Digest?
  /// Whether the output holds exactly what the one input does.
  var isLossless: Bool
  /// Paths of what `--salvage` could not save.
  var lost: [String]
  var warnings: [String]

  func text() -> [UInt8] {
    let name = inputs.count == 1 ? inputs[0] : "\(inputs.count) files"
    var line = "\(printable(name)) -> \(printable(output)): \(counted(tensors, "tensor")), \(size(bytes))"
    if !lost.isEmpty { line += ", \(counted(lost.count, "tensor")) lost" }
    if isLossless, let digest { line += ", content \(digest)" }
    return Array((line + "\n").utf8)
  }

  func json() -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key(plain: "schema")
    json.string("ckpt.convert/1")
    json.key(plain: "inputs")
    json.strings(inputs)
    json.key(plain: "output")
    json.string(output)
    json.key(plain: "format")
    json.string(format.id)
    json.key(plain: "bytes")
    json.int(bytes)
    json.key(plain: "tensors")
    json.int(tensors)
    json.key(plain: "content_digest")
    json.string(digest?.description)
    json.key(plain: "lossless")
    json.bool(isLossless)
    json.key(plain: "lost")
    json.strings(lost)
    json.key(plain: "warnings")
    json.strings(warnings)
    json.endObject()
    return json.bytes + [0x0A]
  }
}

#if canImport(Glibc)
  private let openFilesLimit = Int32(RLIMIT_NOFILE.rawValue)
#else
  private let openFilesLimit = RLIMIT_NOFILE
#endif
