import Checkpoint

/// Reads `data:`.
enum DataReader {
  static func read(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) -> DataConfig? {
    guard var fields = ConfigFields(node, path, problems) else { return nil }
    let train = fields.required("train", "what to train on").flatMap { source($0, fields.path("train"), problems) }
    let validation = fields.node("validation").flatMap { source($0, fields.path("validation"), problems) }
    let batch = fields.count("batch", atMost: Limit.maxSize) ?? 1
    let shuffle = fields.bool("shuffle") ?? false
    var context: Located<Int>?
    if let node = fields.node("context"), let count = fields.count("context", atMost: Limit.maxSize) {
      context = Located(count, node.place, fields.path("context"))
    }
    fields.end()
    guard let train else { return nil }
    if let validation, validation.isTokens != train.isTokens {
      problems.add(
        validation.place, validation.path, "expected the kind of data that 'train' has: \(kinds(train.isTokens))")
    }
    return DataConfig(train: train, validation: validation, batch: batch, shuffle: shuffle, context: context)
  }

  private static func kinds(_ isTokens: Bool) -> String { isTokens ? "text or tokens" : "inputs and targets" }

  private static func source(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) -> DataSource? {
    guard var fields = ConfigFields(node, path, problems) else { return nil }
    defer { fields.end() }
    let kind: DataSource.Kind?
    if fields.has("text") {
      kind = text(&fields)
    } else if fields.has("bin") {
      kind = fields.text("bin").map { .tokens(file: $0) }
    } else if fields.has("tokens"), case .map = fields.node("tokens")?.content {
      return tokens(&fields, node.place)
    } else if fields.has("file") {
      kind = file(&fields)
    } else {
      kind = files(&fields)
    }
    return kind.map { DataSource(kind: $0, place: node.place, path: path) }
  }

  private static func text(_ fields: inout ConfigFields) -> DataSource.Kind? {
    let file = fields.text("text")
    let tokens = fields.choice("tokens", ["characters", "bytes"]) ?? "characters"
    return file.map { .text(file: $0, isBytes: tokens == "bytes") }
  }

  /// `train: {tokens: {bin: train.bin}}`
  private static func tokens(_ fields: inout ConfigFields, _ place: ConfigPlace) -> DataSource? {
    guard let node = fields.node("tokens"), var inner = ConfigFields(node, fields.path("tokens"), fields.problems)
    else { return nil }
    defer { inner.end() }
    guard inner.required("bin", "a file of 16-bit tokens") != nil, let file = inner.text("bin") else { return nil }
    return DataSource(kind: .tokens(file: file), place: place, path: fields.path)
  }

  private static func file(_ fields: inout ConfigFields) -> DataSource.Kind? {
    guard let node = fields.node("file"), let file = fields.text("file") else { return nil }
    let isTable = file.lowercased().hasSuffix(".csv")
    let what = isTable ? "the names of columns" : "the name of an array"
    let inputs = fields.required("inputs", what).flatMap { fields.texts($0, fields.path("inputs"), what) }
    let targets = fields.required("targets", what).flatMap { fields.texts($0, fields.path("targets"), what) }
    if isTable {
      for (key, columns) in [("inputs", inputs), ("targets", targets)] where columns?.isEmpty ?? false {
        fields.problems.add(node.place, fields.path(key), "expected the names of columns, found an empty list")
      }
      guard let inputs, let targets else { return nil }
      return .table(file: file, inputs: inputs, targets: targets)
    }
    guard known(file, node, fields) else { return nil }
    guard let inputs, let targets else { return nil }
    for (key, names) in [("inputs", inputs), ("targets", targets)] where names.count != 1 {
      fields.problems.add(node.place, fields.path(key), "expected the name of one array, found \(names.count)")
    }
    guard let input = inputs.first, let target = targets.first else { return nil }
    return .arrays(file: file, inputs: input, targets: target)
  }

  private static func known(_ file: String, _ node: ConfigNode, _ fields: ConfigFields) -> Bool {
    let endings = [".npz", ".h5", ".hdf5", ".safetensors"]
    if endings.contains(where: file.lowercased().hasSuffix) { return true }
    fields.problems.add(
      node.place, fields.path("file"),
      "expected a name that ends in .npz, .h5, .safetensors or .csv, found '\(file)'")
    return false
  }

  /// `train: {inputs: x.npy, targets: y.npy}`
  private static func files(_ fields: inout ConfigFields) -> DataSource.Kind? {
    let inputs = fields.has("inputs") ? fields.text("inputs") : nil
    let targets = fields.has("targets") ? fields.text("targets") : nil
    if let inputs, let targets, [inputs, targets].allSatisfy({ $0.lowercased().hasSuffix(".npy") }) {
      return .files(inputs: inputs, targets: targets)
    }
    _ = fields.node("file")
    fields.problems.add(
      fields.place, fields.path,
      "expected {file, inputs, targets}, {text, tokens} or {tokens: {bin}}, found \(fields.keys)")
    return nil
  }
}

extension ConfigFields {
  fileprivate var keys: String {
    entries.isEmpty ? "nothing" : "the keys " + entries.prefix(12).map { "'\($0.key)'" }.joined(separator: ", ")
  }
}
