import Checkpoint

/// A checkpoint that DeepSpeed's engine saved on one or more ranks, as one tree: `model`, `optimizer`,
/// `master_weights` and `training`.
struct DeepSpeedCheckpoint: DeepSpeedTree {
  let folder: DeepSpeedFolder
  private(set) var root = Dict()
  private(set) var warnings: [String] = []
  /// Bytes of all files that were read.
  private(set) var bytes = 0
  private(set) var version: String?
  private(set) var files = 0

  init(_ path: String, verify: Bool) throws(CheckpointError) {
    folder = try DeepSpeedFolder(path, latest: "latest", verify: verify)
    let found = folder.names.compactMap { DeepSpeedFile($0) }
    try refuseOthers(found)
    let models = found.filter { $0.kind == .model }
    let optimizers = found.filter { $0.kind == .optimizer }
    // Under ZeRO-3 each rank has a file of the model; else there is one, without a rank.
    let whole = models.filter { $0.rank == nil }
    guard whole.isEmpty || whole.count == models.count else {
      throw CheckpointError(
        .damaged, "files of ZeRO-3 beside '\(whole[0].name)': two saves are mixed", file: folder.path(of: ""))
    }
    let modelFiles = whole.isEmpty ? try inOrder(models, "model") : whole.map(\.name)
    guard let first = modelFiles.first else {
      throw CheckpointError(
        .damaged, "the file mp_rank_00_model_states.pt is missing", file: folder.path(of: ""),
        advice: ZeroLayout.copyAdvice)
    }
    let states = try loaded(first)
    if case .string(let text)? = states["ds_version"] { version = text }
    let ranks = try readRanks(inOrder(optimizers, "optimizer"))
    let others = try modelFiles.dropFirst().map { (name) throws(CheckpointError) in (name, try loaded(name)) }
    try compare(states, others)
    let zero = try put(states, others, ranks, file: first)
    warnings += zero?.warnings ?? []
    for name in folder.names where !found.contains(where: { $0.name == name }) && name.hasSuffix(".pt") {
      warnings.append("\(name) is not part of the tree")
    }
  }

  private mutating func loaded(_ name: String) throws(CheckpointError) -> Dict {
    files += 1
    return try folder.loadDict(name, bytes: &bytes, warnings: &warnings)
  }

  // MARK: - Files

  /// Models that were cut up otherwise than by ZeRO.
  private func refuseOthers(_ files: [DeepSpeedFile]) throws(CheckpointError) {
    let advice = "Make a universal checkpoint of it with DeepSpeed's ds_to_universal.py, and convert that."
    if let other = files.first(where: { $0.tensorRank != 0 }) {
      throw CheckpointError(
        .unsupported, "tensor parallel: the model's tensors are cut up", file: folder.path(of: other.name),
        advice: advice)
    }
    if let layer = folder.names.first(where: { $0.hasPrefix("layer_") && $0.hasSuffix("_model_states.pt") }) {
      throw CheckpointError(
        .unsupported, "layers in files of their own (a pipeline or experts)", file: folder.path(of: layer),
        advice: advice)
    }
    if let experts = folder.names.first(where: { $0.hasPrefix("expp_rank_") }) {
      throw CheckpointError(
        .unsupported, "the optimizer of experts", file: folder.path(of: experts), advice: advice)
    }
  }

  /// The names by rank.
  ///
  /// - Throws: `damaged` where one of the ranks is missing, or there twice.
  private func inOrder(_ files: [DeepSpeedFile], _ what: String) throws(CheckpointError) -> [String] {
    let sorted = files.sorted { ($0.rank ?? 0) < ($1.rank ?? 0) }
    for (index, file) in sorted.enumerated() where (file.rank ?? 0) != index {
      if (file.rank ?? 0) < index {
        throw CheckpointError(
          .damaged, "a second file of the \(what) of rank \(file.rank ?? 0)", file: folder.path(of: file.name),
          advice: "Two saves are mixed; take each save in a folder of its own.")
      }
      throw CheckpointError(
        .damaged, "the \(what)'s file of rank \(index) is missing; there is '\(file.name)'", file: folder.path(of: ""),
        advice: ZeroLayout.copyAdvice)
    }
    return sorted.map(\.name)
  }

  private mutating func readRanks(_ names: [String]) throws(CheckpointError) -> [ZeroRank] {
    var ranks: [ZeroRank] = []
    for name in names {
      let rank = try ZeroRank(try loaded(name), name: name, file: folder.path(of: name))
      // Told by the first, before the others are opened.
      guard rank.world == names.count else {
        let missing = names.count < rank.world
        throw CheckpointError(
          .damaged,
          missing
            ? "the optimizer's file of rank \(names.count) is missing: there are \(rank.world) ranks"
            : "files of \(names.count) ranks, but '\(name)' says that there are \(rank.world)",
          file: folder.path(of: missing ? "" : name), advice: ZeroLayout.copyAdvice)
      }
      ranks.append(rank)
    }
    return ranks
  }

  /// - Throws: `damaged` where the ranks' models are of different steps.
  private mutating func compare(_ first: Dict, _ others: [(name: String, states: Dict)]) throws(CheckpointError) {
    let step = try first["global_steps"]?.asWholeNumber()
    for (name, states) in others {
      let found = try states["global_steps"]?.asWholeNumber()
      guard found == step else {
        throw CheckpointError(
          .damaged, "is of step \(found ?? -1), rank 0's of step \(step ?? -1)", file: folder.path(of: name),
          advice: "Files of several saves are mixed; take each save in a folder of its own.")
      }
      for entry in Self.training(states).entries {
        let same = first[entry.key].map { "\($0)" == "\(entry.value)" } ?? false
        if !same, case .string(let key) = entry.key {
          warnings.append("\(name): \(key) differs from rank 0's, which is taken")
        }
      }
    }
  }

  // MARK: - The tree

  private static let taken: Set<String> = [
    "module", "optimizer", "param_shapes", "frozen_param_shapes", "frozen_param_fragments", "shared_params",
    "buffer_names",
  ]

  /// All that is neither the model nor the optimizer.
  static func training(_ states: Dict) -> Dict {
    Dict(
      states.entries.filter { entry in
        if case .string(let name) = entry.key { !taken.contains(name) } else { true }
      })
  }

  private mutating func put(
    _ states: Dict, _ others: [(name: String, states: Dict)], _ ranks: [ZeroRank], file: String
  ) throws(CheckpointError) -> ZeroState? {
    guard case .dict(let module)? = states["module"] else {
      throw CheckpointError(.damaged, "no dictionary module", file: folder.path(of: file))
    }
    var zero: ZeroState?
    if let shapes = states["param_shapes"], !shapes.isNone {
      guard !ranks.isEmpty else {
        throw CheckpointError(
          .damaged, "the optimizer's files (zero_pp_rank_0_mp_rank_00_optim_states.pt and on) are missing",
          file: folder.path(of: ""), advice: ZeroLayout.copyAdvice)
      }
      do throws(CheckpointError) {
        zero = try ZeroState(ranks, shapes: shapes)
      } catch {
        throw error.inFile(folder.path(of: file))
      }
    } else if !ranks.isEmpty {
      throw CheckpointError(
        .damaged, "no param_shapes, though there are files of a partitioned optimizer", file: folder.path(of: file))
    }
    do throws(CheckpointError) {
      try putModel(module, states, others, zero)
    } catch {
      throw error.inFile(folder.path(of: file))
    }
    var training = Self.training(states)
    if let zero, zero.rest.count > 0 {
      training.entries.append(Dict.Entry(.string("zero_optimizer"), .dict(zero.rest)))
    }
    root.entries.append(Dict.Entry(.string("training"), .dict(training)))
    return zero
  }

  private mutating func putModel(
    _ module: Dict, _ states: Dict, _ others: [(name: String, states: Dict)], _ zero: ZeroState?
  ) throws(CheckpointError) {
    var model = DeepSpeedModule(module, states)
    if let zero, zero.stage == 3 {
      try model.put(zero.weights)
      try model.putFrozen([("", states)] + others)
    } else if let zero {
      try model.check(zero.weights)
    }
    let isHalf = zero?.stage != 3 && model.isHalf
    root.entries.append(Dict.Entry(.string("model"), .dict(try model.finished(isWhole: zero?.stage != 3))))
    if let zero {
      root.entries.append(Dict.Entry(.string("optimizer"), .dict(zero.optimizer)))
      if isHalf { root.entries.append(Dict.Entry(.string("master_weights"), .dict(model.byName(zero.weights)))) }
    } else if let optimizer = states["optimizer"], !optimizer.isNone {
      root.entries.append(Dict.Entry(.string("optimizer"), optimizer))
    }
  }
}

extension Value {
  var isNone: Bool { if case .none = self { true } else { false } }
}
