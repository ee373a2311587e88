import Checkpoint
import CheckpointFormats
import CommandSupport
import Training

/// What a command line asks for: which config, from which checkpoint on, into which folder.
struct RunPlan {
  var config: RunConfig
  /// The config as it is kept in checkpoints.
  var node: ConfigNode
  /// What errors call the config.
  var configName: String
  /// The folder that the config's relative paths begin in.
  var folder: String
  /// The run's folder.
  var out: String
  /// The checkpoint to go on from; nil for a run from the beginning.
  var checkpoint: (path: String, root: Value)?
  /// The target that the run has already; nil where the config says it.
  var target: Int?
  /// What there is to say before the run begins.
  var notes: [String] = []
  var warnings: [String] = []

  init(_ arguments: TrainArguments) throws {
    let origin = try Origin(arguments)
    notes = origin.notes
    warnings = origin.warnings
    checkpoint = origin.checkpoint
    configName = origin.configName
    folder = origin.configFolder
    node = try Overrides.apply(arguments.set, to: origin.node, file: configName)
    config = try RunConfig(node, file: configName)
    let setsLength = arguments.set.contains { ["steps", "epochs"].contains(Overrides.key(of: $0)) }
    target = arguments.config == nil && !setsLength ? origin.target : nil
    // Neither the number of threads nor the place of the files changes a bit of a run, so they are no part of it.
    node = node.without("threads").without("out")
    // A config that is named says where the run goes; a stored one goes on where it was.
    let configured = config.out.map { Paths.join(origin.configFolder, $0) }
    let known = arguments.config == nil ? origin.out ?? configured : configured ?? origin.out
    guard let out = arguments.out ?? known else {
      throw ConfigErrors(
        file: configName,
        problems: [
          ConfigProblem(
            place: node.place, path: "", message: "expected the key 'out', the run's folder, or --out; found neither")
        ])
    }
    self.out = out
    try refuseOtherRun(arguments, origin)
    if let warning = try laterCheckpoints(arguments) { warnings.append(warning) }
  }

  /// A folder that holds a run is not written into, but to go on with that run.
  private func refuseOtherRun(_ arguments: TrainArguments, _ origin: Origin) throws(CheckpointError) {
    if let own = origin.out, Paths.real(own) == Paths.real(out) { return }
    guard !arguments.overwrite else { return }
    let holds = try RunFolder(out).steps().last.map { RunFolder(out).file(ofStep: $0) }
    guard let file = holds ?? (Paths.exists(RunFolder(out).best) ? RunFolder(out).best : nil) else { return }
    throw CheckpointError(
      .cannotCreate, "holds a run already: \(file)", file: out,
      advice: "Go on with it by ckpt train --resume \(out), choose another folder with --out, or add --overwrite.")
  }

  /// Checkpoints of later steps than the one to go on from, which `--resume DIR` would take next time.
  private func laterCheckpoints(_ arguments: TrainArguments) throws(CheckpointError) -> String? {
    guard let file = arguments.resume, !Paths.isFolder(file), Paths.real(Paths.folder(of: file)) == Paths.real(out),
      let step = RunFolder.step(ofName: Paths.name(of: file)), let last = try RunFolder(out).steps().last, last > step
    else { return nil }
    return "\(RunFolder(out).file(ofStep: last)) is of a later step than the one to go on from, and --resume \(out) "
      + "takes the latest: remove it where this is to be another run, or choose another folder with --out"
  }

  /// Makes the run's folder, removes what `--overwrite` gives up, and keeps the config there.
  func prepareFolder(overwrite: Bool) throws(CheckpointError) {
    try RunFolder(out).create()
    if overwrite { try RunFolder(out).removeRun() }
    let folder = Paths.relative(from: out, to: self.folder) ?? self.folder
    try RunRecord(config: node, folder: folder).write(to: out)
  }
}

/// Where a run comes from.
private struct Origin {
  var node: ConfigNode
  var configName: String
  var configFolder: String
  var checkpoint: (path: String, root: Value)?
  /// The folder that the run has already.
  var out: String?
  var notes: [String] = []
  var warnings: [String] = []

  init(_ arguments: TrainArguments) throws {
    guard let resume = arguments.resume else {
      let path = arguments.config ?? ""
      (node, configName, configFolder) = try Self.file(path)
      return
    }
    let (found, record) = try Self.find(resume)
    (checkpoint, out, notes, warnings) = (found.checkpoint, found.out, found.notes, found.warnings)
    if let path = arguments.config {
      (node, configName, configFolder) = try Self.file(path)
    } else if let checkpoint {
      guard let stored = Self.config(in: checkpoint.root) else {
        throw CheckpointError(
          .usage, "holds no config", file: checkpoint.path,
          advice: "Say how to go on: ckpt train CONFIG.yaml --resume \(resume)")
      }
      node = try ConfigNode(stored)
      configName = checkpoint.path
      configFolder = record.map { Paths.join(Paths.folder(of: checkpoint.path), $0.folder) } ?? "."
    } else if let record, let out {
      (node, configName) = (record.config, RunRecord.path(in: out))
      configFolder = Paths.join(out, record.folder)
      notes.append("there is no checkpoint in \(out) that can be used; starting from the beginning")
    } else {
      throw CheckpointError(
        .missing, "there is no checkpoint here that can be used, and no config of a run", file: resume,
        advice: "Name a run's folder or a checkpoint, or start a run: ckpt train CONFIG.yaml --out \(resume)")
    }
  }

  private static func file(_ path: String) throws -> (ConfigNode, String, String) {
    let text = try TextFile.read(path, limit: ConfigText.maxBytes)
    return (try ConfigText.parse(text, file: path), path, Paths.folder(of: path))
  }

  private struct Found {
    var checkpoint: (path: String, root: Value)?
    var out: String?
    var notes: [String] = []
    var warnings: [String] = []
  }

  private static func find(_ path: String) throws -> (Found, RunRecord?) {
    guard Paths.isFolder(path) else {
      let root = try Self.root(path, verifies: true)
      let folder = Paths.folder(of: path)
      var found = Found(checkpoint: (path, root))
      let record = Self.record(in: folder, &found)
      if record != nil || RunFolder.isStep(Paths.name(of: path)) { found.out = folder }
      return (found, record)
    }
    let (step, passedOver) = try RunFolder(path).newest()
    var found = Found(out: path)
    found.warnings = passedOver.map { "\($0.file) is passed over: \($0.reason)" }
    if let step {
      let file = RunFolder(path).file(ofStep: step)
      found.checkpoint = (file, try Self.root(file, verifies: false))
      found.notes.append("going on from \(file)")
    }
    // Without a checkpoint the record is all there is, and has to be sound.
    return (found, step == nil ? try RunRecord.read(in: path) : Self.record(in: path, &found))
  }

  private static func record(in folder: String, _ found: inout Found) -> RunRecord? {
    do {
      return try RunRecord.read(in: folder)
    } catch {
      found.warnings.append(
        "\(RunRecord.path(in: folder)) cannot be read; the config's relative paths are taken to begin here")
      return nil
    }
  }

  private static func root(_ path: String, verifies: Bool) throws(CheckpointError) -> Value {
    do throws(CheckpointError) {
      let format = try Format.input(path)
      if verifies, let problem = try format.verify(path).problems.first {
        throw CheckpointError(
          .damaged, "is damaged: \(problem.what)", place: problem.place,
          advice: "ckpt verify lists everything; --resume with the run's folder takes the newest file that is sound.")
      }
      return try format.read(path, Format.ReadOptions()).checkpoint.root
    } catch {
      throw error.inFile(path)
    }
  }

  /// The step at which the run is complete, as its checkpoint has it.
  var target: Int? {
    guard case .dict(let root)? = checkpoint?.root, case .dict(let training)? = root["training"],
      case .int(let target)? = training["target_step"]
    else { return nil }
    return Int(exactly: target)
  }

  private static func config(in root: Value) -> Value? {
    guard case .dict(let root) = root, case .dict(let training)? = root["training"],
      case .dict(let config)? = training["config"]
    else { return nil }
    return .dict(config)
  }
}

extension ConfigNode {
  /// A map without one of its keys.
  func without(_ key: String) -> ConfigNode {
    guard case .map(let entries) = content else { return self }
    return ConfigNode(content: .map(entries.filter { $0.key != key }), place: place)
  }
}
