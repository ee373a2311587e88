import Training

/// Sends a shape through layers and notes where it does not fit.
struct LayerShapes {
  let problems: ConfigProblems
  /// What the shape at hand comes from: `the data`, `model.sequential.0.linear`.
  private var source: String
  /// Whether the numbers are tokens and not numbers to compute with.
  private var areTokens: Bool?

  /// - Parameter areTokens: whether the input is whole numbers; nil where that is unknown.
  init(_ problems: ConfigProblems, areTokens: Bool? = nil) {
    self.problems = problems
    self.areTokens = areTokens
    source = "the data"
  }

  /// The shape behind the layers; nil once something did not fit.
  mutating func flow(_ input: ShapeFlow, through layers: [LayerConfig]) -> ShapeFlow? {
    var shape = input
    for layer in layers {
      guard checkKind(layer), let next = step(shape, layer) else { return nil }
      shape = next
      if changesShape(layer) { source = layer.path }
    }
    return shape
  }

  private func changesShape(_ layer: LayerConfig) -> Bool {
    switch layer.kind {
    case .relu, .gelu, .tanh, .sigmoid, .softmax, .dropout, .layerNorm, .batchNorm: false
    default: true
    }
  }

  /// Tokens go into an embedding and nowhere else; numbers go anywhere but there.
  private mutating func checkKind(_ layer: LayerConfig) -> Bool {
    switch layer.kind {
    case .embedding:
      guard areTokens ?? true else {
        problems.add(layer.place, layer.path, "expected whole numbers, which an embedding takes, found other numbers")
        return false
      }
      areTokens = false
    case .flatten, .residual: break
    default:
      guard !(areTokens ?? false) else {
        problems.add(layer.place, layer.path, "expected an embedding first, since \(source) has tokens")
        return false
      }
      areTokens = false
    }
    return true
  }

  private func mismatch(_ layer: LayerConfig, _ shape: ShapeFlow, _ expected: String) -> ShapeFlow? {
    problems.add(layer.place, layer.path, "expected \(expected), found \(shape) from \(source)")
    return nil
  }

  private mutating func step(_ shape: ShapeFlow, _ layer: LayerConfig) -> ShapeFlow? {
    switch layer.kind {
    case .relu, .gelu, .tanh, .sigmoid, .dropout: return shape
    case .linear(let inputs, let outputs, _):
      if let last = shape.lastSize, last != inputs { return mismatch(layer, shape, "[N, …, \(inputs)]") }
      return shape.replacingLast(outputs)
    case .embedding(_, let width):
      guard case .sizes(let sizes) = shape else { return .last(width) }
      return .sizes(sizes + [width])
    case .layerNorm(let norm, _, _, _): return layerNorm(shape, norm, layer)
    case .batchNorm(let norm): return batchNorm(shape, norm, layer)
    case .softmax(let dim):
      // The batch counts as a dimension.
      if let rank = shape.rank, !(-(rank + 1)...rank).contains(dim) {
        return mismatch(layer, shape, "a dimension \(dim)")
      }
      return shape
    case .conv2d(let convolution): return convolve(shape, convolution, layer)
    case .maxPool2d(let pool): return self.pool(shape, pool, layer)
    case .avgPool2d(let pool, _): return self.pool(shape, pool, layer)
    case .flatten(let start, let end): return flatten(shape, start, end, layer)
    case .residual(let layers):
      guard let inner = flow(shape, through: layers) else { return nil }
      guard inner.fits(shape) else {
        problems.add(
          layer.place, layer.path, "expected layers that keep the shape \(shape), since it is added; they give \(inner)"
        )
        return nil
      }
      return shape == .unknown ? inner : shape
    }
  }

  private func layerNorm(_ shape: ShapeFlow, _ norm: [Int], _ layer: LayerConfig) -> ShapeFlow? {
    let expected = "[N, …, \(norm.map(String.init).joined(separator: ", "))]"
    guard case .sizes(let sizes) = shape else {
      guard shape.lastSize == nil || shape.lastSize == norm.last else { return mismatch(layer, shape, expected) }
      return shape == .unknown ? norm.last.map { .last($0) } : shape
    }
    guard sizes.count >= norm.count, ShapeFlow.sizes(Array(sizes.suffix(norm.count))).fits(.sizes(norm)) else {
      return mismatch(layer, shape, expected)
    }
    return shape
  }

  private func batchNorm(_ shape: ShapeFlow, _ norm: LayerConfig.BatchNorm, _ layer: LayerConfig) -> ShapeFlow? {
    guard case .sizes(let sizes) = shape else {
      return norm.dimensions == 2 ? .sizes([norm.features, nil, nil]) : shape
    }
    let ranks = norm.dimensions == 2 ? 3...3 : 1...2
    let expected =
      norm.dimensions == 2 ? "[N, \(norm.features), H, W]" : "[N, \(norm.features)] or [N, \(norm.features), L]"
    guard ranks.contains(sizes.count), sizes[0] == nil || sizes[0] == norm.features else {
      return mismatch(layer, shape, expected)
    }
    return shape
  }

  /// Channels, height and width, where they can be told.
  private func image(_ shape: ShapeFlow, _ channels: Int?, _ layer: LayerConfig) -> [Int?]? {
    let expected = "[N, \(channels.map(String.init) ?? "C"), H, W]"
    guard case .sizes(let sizes) = shape else { return [channels, nil, shape.lastSize] }
    guard sizes.count == 3, channels == nil || sizes[0] == nil || sizes[0] == channels else {
      _ = mismatch(layer, shape, expected)
      return nil
    }
    return sizes
  }

  private func convolve(_ shape: ShapeFlow, _ layer: LayerConfig.Convolution, _ place: LayerConfig) -> ShapeFlow? {
    guard let sizes = image(shape, layer.inputs, place) else { return nil }
    let spans = Pair(
      (layer.kernel.height - 1) * layer.dilation.height + 1, (layer.kernel.width - 1) * layer.dilation.width + 1)
    return windows(sizes, layer.outputs, spans, layer.stride, layer.padding, shape, place)
  }

  private func pool(_ shape: ShapeFlow, _ pool: LayerConfig.Pool, _ place: LayerConfig) -> ShapeFlow? {
    guard let sizes = image(shape, nil, place) else { return nil }
    return windows(sizes, sizes[0], pool.kernel, pool.stride, pool.padding, shape, place)
  }

  private func windows(
    _ sizes: [Int?], _ channels: Int?, _ window: Pair, _ stride: Pair, _ padding: Pair, _ shape: ShapeFlow,
    _ place: LayerConfig
  ) -> ShapeFlow? {
    func size(_ input: Int?, _ window: Int, _ stride: Int, _ padding: Int) -> Int? {
      input.map { $0 + 2 * padding < window ? 0 : ($0 + 2 * padding - window) / stride + 1 }
    }
    let height = size(sizes[1], window.height, stride.height, padding.height)
    let width = size(sizes[2], window.width, stride.width, padding.width)
    guard height != 0, width != 0 else {
      return mismatch(place, shape, "at least \(window.height) x \(window.width) pixels with the padding")
    }
    return .sizes([channels, height, width])
  }

  private func flatten(_ shape: ShapeFlow, _ start: Int, _ end: Int, _ layer: LayerConfig) -> ShapeFlow? {
    guard case .sizes(let sizes) = shape else { return .unknown }
    let first = start - 1
    let last = end < 0 ? sizes.count + end : end - 1
    guard first < sizes.count || sizes.isEmpty, last < sizes.count else {
      return mismatch(layer, shape, "dimensions \(start) to \(end)")
    }
    // A vector stays one.
    guard last > first else { return shape }
    let merged = sizes[first...last]
    let product = merged.contains(nil) ? nil : merged.compactMap(\.self).reduce(1, *)
    return .sizes(Array(sizes[..<first]) + [product] + Array(sizes[(last + 1)...]))
  }
}
