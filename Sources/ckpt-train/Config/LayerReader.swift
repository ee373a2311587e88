import Checkpoint
import Training

/// Reads the list of layers.
enum LayerReader {
  static let names = [
    "linear", "conv2d", "embedding", "layer_norm", "batch_norm1d", "batch_norm2d", "relu", "gelu", "tanh", "sigmoid",
    "softmax", "dropout", "max_pool2d", "avg_pool2d", "flatten", "residual",
  ]

  static func layers(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) -> [LayerConfig] {
    guard case .list(let items) = node.content, !items.isEmpty else {
      problems.add(node, path, expected: "a list of layers, as '- linear: {in: 784, out: 10}'")
      return []
    }
    return items.enumerated().compactMap { layer($0.element, ConfigPath.join(path, "\($0.offset)"), problems) }
  }

  private static func layer(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) -> LayerConfig? {
    let entry: ConfigNode.Entry
    switch node.content {
    case .map(let entries) where entries.count == 1: entry = entries[0]
    case .scalar(.string(let name)):
      // `- relu` is `- relu: {}`.
      entry = ConfigNode.Entry(
        key: name, place: node.place, value: ConfigNode(content: .scalar(.none), place: node.place))
    case .map(let entries) where entries.count > 1:
      let names = entries.map { "'\($0.key)'" }.joined(separator: ", ")
      problems.add(node.place, path, "expected one layer, found the keys \(names); its fields go in {…}")
      return nil
    default:
      problems.add(node, path, expected: "a layer, as 'linear: {in: 784, out: 10}'")
      return nil
    }
    guard names.contains(entry.key) else {
      problems.add(entry.place, path, "there is no layer '\(entry.key)'" + Suggestion.hint(for: entry.key, in: names))
      return nil
    }
    let layerPath = ConfigPath.join(path, entry.key)
    guard let kind = kind(entry.key, entry.value, layerPath, problems) else { return nil }
    return LayerConfig(kind: kind, name: entry.key, place: entry.place, path: layerPath)
  }

  private static func kind(
    _ name: String, _ node: ConfigNode, _ path: String, _ problems: ConfigProblems
  ) -> LayerConfig.Kind? {
    if name == "residual" { return .residual(layers(node, path, problems)) }
    guard var fields = ConfigFields(node, path, problems) else { return nil }
    defer { fields.end() }
    switch name {
    case "linear": return linear(&fields)
    case "conv2d": return convolution(&fields)
    case "embedding": return embedding(&fields)
    case "layer_norm": return layerNorm(&fields)
    case "batch_norm1d": return batchNorm(&fields, dimensions: 1)
    case "batch_norm2d": return batchNorm(&fields, dimensions: 2)
    case "relu": return .relu
    case "gelu": return .gelu(isTanh: fields.choice("approximate", ["none", "tanh"]) == "tanh")
    case "tanh": return .tanh
    case "sigmoid": return .sigmoid
    case "softmax":
      guard let node = fields.required("dim", "the dimension whose numbers sum to 1") else { return nil }
      return fields.count(node, fields.path("dim"), atLeast: -8, atMost: 7).map { .softmax(dim: $0) }
    case "dropout": return .dropout(p: fields.number("p", .fraction) ?? 0.5)
    case "max_pool2d": return pool(&fields).map { .maxPool2d($0) }
    case "avg_pool2d":
      let counts = fields.bool("count_include_pad") ?? true
      return pool(&fields).map { .avgPool2d($0, countsPadding: counts) }
    case "flatten":
      let start = fields.count("start_dim", atLeast: 1, atMost: 7) ?? 1
      return .flatten(start: start, end: fields.count("end_dim", atLeast: -8, atMost: 7) ?? -1)
    default: return nil
    }
  }

  private static func size(_ fields: inout ConfigFields, _ key: String, _ what: String) -> Int? {
    guard let node = fields.required(key, what) else { return nil }
    return fields.count(node, fields.path(key), atLeast: 1, atMost: Limit.maxSize)
  }

  private static func linear(_ fields: inout ConfigFields) -> LayerConfig.Kind? {
    let inputs = size(&fields, "in", "the input's size")
    let outputs = size(&fields, "out", "the output's size")
    let bias = fields.bool("bias") ?? true
    guard let inputs, let outputs else { return nil }
    return .linear(inputs: inputs, outputs: outputs, bias: bias)
  }

  private static func embedding(_ fields: inout ConfigFields) -> LayerConfig.Kind? {
    let count = size(&fields, "num_embeddings", "how many different tokens there are")
    let width = size(&fields, "embedding_dim", "the size of a token's vector")
    guard let count, let width else { return nil }
    return .embedding(count: count, width: width)
  }

  private static func layerNorm(_ fields: inout ConfigFields) -> LayerConfig.Kind? {
    let isThere = fields.required("normalized_shape", "the sizes of the last dimensions") != nil
    let shape = isThere ? fields.counts("normalized_shape") : nil
    let eps = fields.number("eps", .positive) ?? 1e-5
    let affine = fields.bool("elementwise_affine") ?? true
    let bias = fields.bool("bias") ?? true
    return shape.map { .layerNorm(shape: $0, eps: eps, affine: affine, bias: bias) }
  }

  private static func batchNorm(_ fields: inout ConfigFields, dimensions: Int) -> LayerConfig.Kind? {
    let features = size(&fields, "num_features", "how many channels there are")
    var norm = LayerConfig.BatchNorm(dimensions: dimensions, features: features ?? 1)
    if let eps = fields.number("eps", .positive) { norm.eps = eps }
    if let momentum = fields.number("momentum", .fraction) { norm.momentum = momentum }
    if let affine = fields.bool("affine") { norm.affine = affine }
    if let tracks = fields.bool("track_running_stats") { norm.tracks = tracks }
    return features == nil ? nil : .batchNorm(norm)
  }

  private static func convolution(_ fields: inout ConfigFields) -> LayerConfig.Kind? {
    let inputs = size(&fields, "in", "how many channels come in")
    let outputs = size(&fields, "out", "how many channels go out")
    let isThere = fields.required("kernel_size", "the window's height and width") != nil
    let kernel = isThere ? fields.pair("kernel_size") : nil
    var result = LayerConfig.Convolution(inputs: inputs ?? 1, outputs: outputs ?? 1, kernel: kernel ?? Pair(1, 1))
    if let stride = fields.pair("stride") { result.stride = stride }
    if let padding = fields.pair("padding", atLeast: 0) { result.padding = padding }
    if let dilation = fields.pair("dilation") { result.dilation = dilation }
    if let groups = fields.count("groups") { result.groups = groups }
    if let bias = fields.bool("bias") { result.bias = bias }
    guard let inputs, let outputs, kernel != nil else { return nil }
    if inputs % result.groups != 0 || outputs % result.groups != 0 {
      fields.problems.add(
        fields.place, fields.path,
        "expected in and out to be multiples of groups, found in \(inputs), out \(outputs), groups \(result.groups)")
      return nil
    }
    return .conv2d(result)
  }

  private static func pool(_ fields: inout ConfigFields) -> LayerConfig.Pool? {
    guard fields.required("kernel_size", "the window's height and width") != nil else { return nil }
    let kernel = fields.pair("kernel_size")
    let stride = fields.pair("stride")
    let padding = fields.pair("padding", atLeast: 0) ?? Pair(0, 0)
    guard let kernel else { return nil }
    if padding.height * 2 > kernel.height || padding.width * 2 > kernel.width {
      fields.problems.add(
        fields.place, fields.path, "expected a padding of at most half the kernel_size, as PyTorch does")
      return nil
    }
    return LayerConfig.Pool(kernel: kernel, stride: stride ?? kernel, padding: padding)
  }
}
