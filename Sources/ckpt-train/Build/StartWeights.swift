import Checkpoint
import CheckpointFormats
import Training

/// The weights in a checkpoint of any kind.
enum StartWeights {
  /// Reads a checkpoint and takes over its model.
  ///
  /// - Throws: `missing`, `damaged`; `usage` with a report of all that does not fit.
  static func load(
    _ path: String, into model: Module, allowMissing: [Glob], allowUnexpected: [Glob]
  ) throws(CheckpointError) -> StateLoadReport {
    do throws(CheckpointError) {
      let root = try Format.input(path).read(path, Format.ReadOptions()).checkpoint.root
      guard let dict = find(in: root) else {
        throw CheckpointError(
          .damaged, "has no model: no dictionary of tensors under names", advice: "ckpt inspect shows what is in it.")
      }
      // Of a whole module, what its state_dict() would give.
      let state = PickledModule(.dict(dict))?.stateDict ?? dict
      return try model.loadStateDict(state, allowMissing: allowMissing, allowUnexpected: allowUnexpected)
    } catch {
      throw error.inFile(path)
    }
  }

  /// The model's state dict: under a usual name, the whole, or the first that there is.
  static func find(in root: Value) -> Dict? {
    guard case .dict(let dict) = root else { return nil }
    for name in ["model", "state_dict", "model_state_dict"] {
      if case .dict(let inner)? = dict[name], StateDict(.dict(inner)) != nil { return inner }
    }
    if StateDict(root) != nil { return dict }
    let section = Recogniser.sections(in: root).first { $0.kind == .stateDict }
    var value = root
    for step in section?.path.steps ?? [] {
      guard case .key(let key) = step, case .dict(let dict) = value, let next = dict[key] else { return nil }
      value = next
    }
    if section != nil, case .dict(let found) = value { return found }
    return nil
  }
}
