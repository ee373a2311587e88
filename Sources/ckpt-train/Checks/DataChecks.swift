import Checkpoint
import Training

/// The data against the model and the loss, before the first step.
struct DataChecks {
  let config: RunConfig
  let problems: ConfigProblems

  /// - Throws: `damaged` for a label or token that the model has no place for, naming the row.
  func check(_ data: RunData) throws(CheckpointError) {
    try check(data.train, config.data.train)
    if let set = data.validation, let source = config.data.validation { try check(set, source) }
  }

  private func check(_ set: any Dataset, _ source: DataSource) throws(CheckpointError) {
    guard let inputs = set.inputInfo, let targets = set.targetInfo else { return }
    switch config.model {
    case .gpt(let gpt):
      checkVocabulary(set, gpt)
      if problems.isEmpty { try checkTokens(set, below: gpt.vocab) }
    case .sequential(let layers):
      let count = problems.all.count
      var shapes = LayerShapes(problems, areTokens: inputs.dtype == .int64)
      let output = shapes.flow(.sizes(inputs.shape.map { $0 }), through: layers)
      guard let output, problems.all.count == count else { return }
      checkTargets(output, targets, source)
      guard problems.all.count == count else { return }
      if inputs.dtype == .int64, case .embedding(let vocabulary, _)? = layers.first(where: \.isEmbedding)?.kind {
        try checkTokens(set, below: vocabulary)
      }
      if case .crossEntropy(let ignored) = config.loss.kind, let classes = output.lastSize {
        try checkLabels(set, classes, ignored)
      }
    }
  }

  private func checkVocabulary(_ set: any Dataset, _ gpt: GPTConfig) {
    guard let text = set as? TextDataset, text.vocabularySize > gpt.vocab else { return }
    let what = text.vocabulary.isEmpty ? "bytes" : "different characters"
    problems.add(
      gpt.place, ConfigPath.join(gpt.path, "vocab"),
      "expected at least \(text.vocabularySize), since the text has so many \(what), found \(gpt.vocab)")
  }

  private func checkTargets(_ output: ShapeFlow, _ targets: SampleInfo, _ source: DataSource) {
    var expected = output
    var isTokenwise = false
    if case .crossEntropy = config.loss.kind, case .sizes(let sizes) = output {
      guard !sizes.isEmpty else {
        problems.add(config.loss.place, config.loss.path, "expected classes in the model's output, found one number")
        return
      }
      expected = .sizes(sizes.dropLast())
      isTokenwise = true
    }
    let found = ShapeFlow.sizes(targets.shape.map { $0 })
    guard !expected.fits(found) else { return }
    let (place, path) = source.targetsPlace
    let why = isTokenwise ? "a label for each row of the output" : "the shape of the output"
    problems.add(place, path, "expected targets of shape \(expected), \(why) \(output), found \(found)")
  }

  private func checkTokens(_ set: any Dataset, below vocabulary: Int) throws(CheckpointError) {
    switch set {
    case let set as TextDataset: try set.checkTokens(vocabulary: vocabulary)
    case let set as TokenDataset: try set.checkTokens(vocabulary: vocabulary)
    case let set as ArrayDataset: try set.checkTokens(vocabulary: vocabulary)
    default: break
    }
  }

  private func checkLabels(_ set: any Dataset, _ classes: Int, _ ignored: Int) throws(CheckpointError) {
    switch set {
    case let set as ArrayDataset: try set.checkLabels(classes: classes, ignoring: ignored)
    case let set as CSVDataset: try set.checkLabels(classes: classes, ignoring: ignored)
    // The targets of text are its tokens.
    default: try checkTokens(set, below: classes)
    }
  }
}

extension LayerConfig {
  fileprivate var isEmbedding: Bool { if case .embedding = kind { true } else { false } }
}
