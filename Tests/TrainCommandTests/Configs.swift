@testable import ckpt_train

/// A config that is right, and what becomes of it with parts changed.
enum Configs {
  static let mlp = """
    seed: 7
    model:
      sequential:
        - linear: {in: 784, out: 512}
        - relu: {}
        - dropout: {p: 0.1}
        - linear: {in: 512, out: 10}
    data:
      train: {file: train.npz, inputs: x, targets: y}
      validation: {file: val.npz, inputs: x, targets: y}
      batch: 64
      shuffle: true
    loss: cross_entropy
    optimizer:
      adamw: {lr: 0.001}
    steps: 500
    out: runs/a

    """

  /// The config with one text in place of another; the line numbers stay.
  static func mlp(_ old: String, _ new: String) -> String { mlp.replacing(old, with: new) }

  /// The lines of the report, without `ckpt: error: ` and the advice at the end.
  static func problems(_ text: String, set: [String] = []) -> [String] {
    do {
      _ = try read(text, set: set)
      return []
    } catch {
      return error.problems.map(error.line)
    }
  }

  static func read(_ text: String, set: [String] = []) throws(ConfigErrors) -> RunConfig {
    let node = try ConfigText.parse(text, file: "run.yaml")
    return try RunConfig(try Overrides.apply(set, to: node, file: "run.yaml"), file: "run.yaml")
  }
}
