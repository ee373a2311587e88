import Checkpoint

/// Reads `model:`.
enum ModelReader {
  static func read(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) -> ModelConfig? {
    guard let (entry, path) = ConfigChoice.one(of: ["sequential", "gpt"], "model", node, path, problems) else {
      return nil
    }
    if entry.key == "sequential" { return .sequential(LayerReader.layers(entry.value, path, problems)) }
    return gpt(entry, path, problems).map { .gpt($0) }
  }

  private static func gpt(_ entry: ConfigNode.Entry, _ path: String, _ problems: ConfigProblems) -> GPTConfig? {
    guard var fields = ConfigFields(entry.value, path, problems) else { return nil }
    let sizes = [
      ("layers", "how many blocks there are"), ("heads", "how many heads attend"), ("width", "the size of a vector"),
      ("context", "how many tokens the model sees"), ("vocab", "how many different tokens there are"),
    ].map { key, what in
      fields.required(key, what).flatMap {
        fields.count($0, fields.path(key), atLeast: 1, atMost: key == "layers" ? 10_000 : Limit.maxSize)
      }
    }
    var gpt = GPTConfig(
      layers: sizes[0] ?? 1, heads: sizes[1] ?? 1, width: sizes[2] ?? 1, context: sizes[3] ?? 1, vocab: sizes[4] ?? 1,
      place: entry.place, path: path)
    if let bias = fields.bool("bias") { gpt.bias = bias }
    if let dropout = fields.number("dropout", .fraction) { gpt.dropout = dropout }
    gpt.isTanhGelu = fields.choice("gelu", ["erf", "tanh"]) == "tanh"
    if let ties = fields.bool("tie_embeddings") { gpt.tiesEmbeddings = ties }
    fields.end()
    guard !sizes.contains(nil) else { return nil }
    if gpt.width % gpt.heads != 0 {
      let place = fields.entries.first { $0.key == "heads" }?.value.place ?? entry.place
      problems.add(
        place, fields.path("heads"), "expected a divisor of width, which is \(gpt.width), found \(gpt.heads)")
      return nil
    }
    return gpt
  }
}

/// Reads `loss:`.
enum LossReader {
  static let names = ["mse", "l1", "huber", "cross_entropy", "bce_with_logits"]

  static func read(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) -> LossConfig? {
    guard let (entry, inner) = ConfigChoice.one(of: names, "loss", node, path, problems),
      var fields = ConfigFields(entry.value, inner, problems)
    else { return nil }
    let kind: LossConfig.Kind
    switch entry.key {
    case "mse": kind = .mse
    case "l1": kind = .l1
    case "huber": kind = .huber(delta: fields.number("delta", .positive) ?? 1)
    case "cross_entropy":
      let node = fields.node("ignore_index")
      let index = node.flatMap { fields.count($0, fields.path("ignore_index"), atLeast: .min, atMost: .max) }
      kind = .crossEntropy(ignoreIndex: index ?? -100)
    default: kind = .bceWithLogits
    }
    fields.end()
    return LossConfig(kind: kind, name: entry.key, place: node.place, path: path)
  }
}
