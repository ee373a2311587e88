import Checkpoint

/// DeepSpeed's universal checkpoint: a folder a parameter, with a file for the weight and each moment, as the same tree
/// that `DeepSpeedCheckpoint` gives (facts from `ds_to_universal.py` of DeepSpeed 0.19.8).
struct UniversalCheckpoint: DeepSpeedTree {
  let folder: DeepSpeedFolder
  private(set) var root = Dict()
  private(set) var warnings: [String] = []
  private(set) var bytes = 0
  private(set) var version: String?
  private(set) var files = 0

  init(_ path: String, verify: Bool) throws(CheckpointError) {
    folder = try DeepSpeedFolder(path, latest: "latest_universal", verify: verify)
    guard
      let first = folder.names.first(where: {
        $0 == "mp_rank_00_model_states.pt" || $0 == "zero_pp_rank_0_mp_rank_00_model_states.pt"
      })
    else {
      throw CheckpointError(
        .damaged, "the file mp_rank_00_model_states.pt is missing", file: folder.path(of: ""),
        advice: ZeroLayout.copyAdvice)
    }
    let states = try loaded(first)
    if case .string(let text)? = states["ds_version"] { version = text }
    guard case .dict(let module)? = states["module"] else {
      throw CheckpointError(.damaged, "no dictionary module", file: folder.path(of: first))
    }
    let isDealtOut = first.hasPrefix("zero_")
    let rest = folder.hasFile("zero/optimizer_state.pt") ? try loaded("zero/optimizer_state.pt") : Dict()
    do throws(CheckpointError) {
      try put(module, states, rest, isDealtOut ? try others(states) : nil)
    } catch {
      throw error.inFile(folder.path(of: first))
    }
  }

  private mutating func loaded(_ name: String) throws(CheckpointError) -> Dict {
    files += 1
    return try folder.loadDict(name, bytes: &bytes, warnings: &warnings)
  }

  /// The models' files of the other ranks of ZeRO-3, where they have parts of what is not trained.
  private mutating func others(_ states: Dict) throws(CheckpointError) -> [(name: String, states: Dict)] {
    guard case .dict(let frozen)? = states["frozen_param_shapes"], frozen.count > 0 else { return [] }
    var found: [(name: String, states: Dict)] = []
    let files = folder.names.compactMap { DeepSpeedFile($0) }.filter { $0.kind == .model && $0.rank != nil }
    for rank in 1..<max(files.count, 1) {
      guard let file = files.first(where: { $0.rank == rank && $0.tensorRank == 0 }) else {
        throw CheckpointError(
          .damaged, "the model's file of rank \(rank) is missing", file: folder.path(of: ""),
          advice: ZeroLayout.copyAdvice)
      }
      found.append((file.name, try loaded(file.name)))
    }
    return found
  }

  /// - Parameter others: the other ranks' models under ZeRO-3; nil for other stages.
  private mutating func put(
    _ module: Dict, _ states: Dict, _ rest: Dict, _ others: [(name: String, states: Dict)]?
  ) throws(CheckpointError) {
    let isDealtOut = others != nil
    let layout = try ZeroLayout(stage: isDealtOut ? 3 : 2, world: 1, shapes: states["param_shapes"] ?? .none)
    var base = Dict()
    // Under ZeRO-3 the whole state is kept.
    if case .dict(let dict)? = rest["optimizer_state_dict"] ?? rest["base_optimizer_state"] { base = dict }
    var weights: [(name: String, tensor: Tensor)] = []
    var state = Dict()
    for (index, group) in layout.groups.enumerated() {
      for parameter in group {
        guard let (weight, slots) = try read(parameter, Self.step(base, index)) else { continue }
        weights.append((parameter.name, weight))
        if slots.count > 0 { state.entries.append(Dict.Entry(.string(parameter.name), .dict(slots))) }
      }
    }
    var model = DeepSpeedModule(module, states)
    if let others {
      try model.put(weights)
      try model.putFrozen([("", states)] + others)
    } else {
      try model.check(weights)
    }
    let groups = try ZeroState.paramGroups(
      rest["param_groups"] == nil ? base : rest, layout.groups.map { $0.map(\.name) },
      file: folder.path(of: "zero/optimizer_state.pt"))
    root.entries.append(
      Dict.Entry(.string("model"), .dict(try model.finished(isWhole: !isDealtOut))))
    root.entries.append(
      Dict.Entry(
        .string("optimizer"),
        .dict(
          Dict([
            Dict.Entry(.string("state"), .dict(state)),
            Dict.Entry(.string("param_groups"), .sequence(.list, groups)),
          ]))))
    if !isDealtOut, model.isHalf {
      root.entries.append(Dict.Entry(.string("master_weights"), .dict(model.byName(weights))))
    }
    var training = DeepSpeedCheckpoint.training(states)
    let more = ZeroRank.rest(of: rest)
    if more.count > 0 { training.entries.append(Dict.Entry(.string("zero_optimizer"), .dict(more))) }
    root.entries.append(Dict.Entry(.string("training"), .dict(training)))
  }

  /// The step of a row, where the parameters' folders have none.
  private static func step(_ base: Dict, _ row: Int) -> Value? {
    guard case .dict(let state)? = base["state"], case .dict(let slots)? = state[.int(Int64(row))] else { return nil }
    return slots["step"]
  }

  /// A parameter's weight and moments; nil for one that has no folder, as it has never had a gradient.
  private mutating func read(
    _ parameter: ZeroLayout.Parameter, _ step: Value?
  ) throws(CheckpointError) -> (Tensor, Dict)? {
    let place = "zero/\(parameter.name)"
    try folder.parts.checkName(folder.prefix + place)
    let names = PartsFolder.names(in: folder.path(of: place)) ?? []
    guard names.contains("fp32.pt") else {
      throw CheckpointError(
        .damaged, "the file fp32.pt of the parameter is missing", file: folder.path(of: place),
        advice: ZeroLayout.copyAdvice)
    }
    var slots = Dict()
    for name in ["step.pt", "exp_avg.pt", "exp_avg_sq.pt"] where names.contains(name) {
      let value = try whole("\(place)/\(name)", name == "step.pt" ? nil : parameter)
      slots.entries.append(Dict.Entry(.string(String(name.dropLast(3))), value))
    }
    if !names.contains("step.pt"), slots.count > 0, let step {
      slots.entries.insert(Dict.Entry(.string("step"), try step.ownCopy()), at: 0)
    }
    for name in names where !["fp32.pt", "step.pt", "exp_avg.pt", "exp_avg_sq.pt"].contains(name) {
      guard name.hasSuffix(".pt") else { continue }
      slots.entries.append(Dict.Entry(.string(String(name.dropLast(3))), try whole("\(place)/\(name)", parameter)))
    }
    guard case .tensor(let weight) = try whole("\(place)/fp32.pt", parameter) else { return nil }
    return (weight, slots)
  }

  /// What one of the parameter's files holds: itself, or under `param`.
  private mutating func whole(
    _ name: String, _ parameter: ZeroLayout.Parameter?
  ) throws(CheckpointError) -> Value {
    files += 1
    var value = try folder.load(name, bytes: &bytes, warnings: &warnings)
    if case .dict(let dict) = value {
      guard let inner = dict["param"] else {
        throw CheckpointError(.damaged, "no 'param' in its dictionary", file: folder.path(of: name))
      }
      value = inner
    }
    guard let parameter else { return value.plain }
    guard case .tensor(let tensor) = value.plain, tensor.count == parameter.count else {
      throw CheckpointError(
        .damaged, "holds no tensor of \(parameter.count) elements, as the parameter has", file: folder.path(of: name))
    }
    // Of ZeRO-3 they are flat; some were parameters, and say so.
    return .tensor(try Tensor(dtype: tensor.dtype, shape: parameter.shape, source: tensor.source))
  }
}

extension DeepSpeedFolder {
  /// Whether there is such a file below the folder of the step.
  func hasFile(_ name: String) -> Bool { (try? FileStart(path(of: name))) != nil }
}

extension Format {
  /// A folder that DeepSpeed's `ds_to_universal.py` made.
  static let deepSpeedUniversal = Format.deepSpeed(
    id: "deepspeed-universal", name: "DeepSpeed universal checkpoint",
    recognises: { start in
      guard start.isFolder, let names = PartsFolder.names(in: start.path) else { return false }
      if names.contains("latest_universal") && !names.contains("latest") {
        return DeepSpeedFolder.isText(start.path + "/latest_universal")
      }
      guard names.contains("zero"), names.contains(where: { DeepSpeedFile($0)?.kind == .model }) else { return false }
      return PartsFolder.names(in: start.path + "/zero") != nil
    },
    tree: UniversalCheckpoint.self)
}
