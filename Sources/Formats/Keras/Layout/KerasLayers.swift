import Checkpoint

/// A layer of a Keras file that PyTorch has too.
struct KerasLayer {
  /// What its module is called in a state dict.
  var name: String
  var kind: KerasLayerKind
  /// `_reverse` for the backward half of a bidirectional layer.
  var suffix = ""
  var variables: [(role: KerasRole, place: KerasReader.Place)]
}

/// The layers of a file in the model's order, and the variables that are of no layer known here.
struct KerasLayers {
  private(set) var layers: [KerasLayer] = []
  private(set) var rest: [KerasReader.Place] = []
  private let file: KerasFile
  private let model: KerasModel?

  /// - Parameter parameters: the variables in the optimizer's order, as far as it is known: paths joined with dots.
  init(_ file: KerasFile, _ model: KerasModel?, parameters: [String] = []) {
    (self.file, self.model) = (file, model)
    let isLegacy = file.form == .legacy
    var order: [[String]] = []
    var members: [[String]: [KerasReader.Place]] = [:]
    let own = file.places.filter { $0.path.first != "optimizer" && $0.path.first != Keras.optimizerWeights }
    let sorted = isLegacy ? file.inTreesOrder(own) : KerasVariables.inModelsOrder(own, model)
    for place in sorted {
      let key = Array(place.path.dropLast(isLegacy ? 1 : 2))
      if members[key] == nil { order.append(key) }
      members[key, default: []].append(place)
    }
    for key in order {
      guard let places = members[key] else { continue }
      if let layer = isLegacy ? legacy(key, places) : numbered(key, places) {
        layers.append(layer)
      } else {
        rest += places
      }
    }
    joinNames()
    if model == nil, !isLegacy { sort(by: parameters) }
    sortHalves()
  }

  /// Without a description the optimizer's order is surer than where things lie in the file.
  private mutating func sort(by parameters: [String]) {
    let ranks = Dictionary(parameters.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    var last = -1
    let keys = layers.map { layer -> Int in
      let own = layer.variables.compactMap { ranks[$0.place.path.joined(separator: ".")] }.min()
      // One that the optimizer does not have stays behind the one before it.
      last = own ?? last
      return last
    }
    layers = layers.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.map { layers[$0] }
  }

  /// The forward half of a bidirectional layer first, as in PyTorch; files have them by name.
  private mutating func sortHalves() {
    for index in layers.indices.dropLast()
    where !layers[index].suffix.isEmpty && layers[index + 1].suffix.isEmpty
      && layers[index].name.hasSameBytes(as: layers[index + 1].name)
    { layers.swapAt(index, index + 1) }
  }

  /// Two layers of one name would overwrite each other: all such keep their places in the file.
  private mutating func joinNames() {
    var seen: [String: Int] = [:]
    for layer in layers { seen[layer.name + layer.suffix, default: 0] += 1 }
    for layer in layers where seen[layer.name + layer.suffix] != 1 { rest += layer.variables.map(\.place) }
    layers.removeAll { seen[$0.name + $0.suffix] != 1 }
  }
}

// MARK: - Keras 3

extension KerasLayers {
  private func numbered(_ path: [String], _ places: [KerasReader.Place]) -> KerasLayer? {
    guard places.allSatisfy({ $0.path.dropLast().last == Keras.variables }) else { return nil }
    let described = model?.layer(around: path)
    var inner = path
    if inner.last == "cell" { inner.removeLast() }
    var suffix = ""
    if let half = inner.last, half == "forward_layer" || half == "backward_layer" {
      inner.removeLast()
      if half == "backward_layer" { suffix = "_reverse" }
    } else if inner.last == "layer" {
      inner.removeLast()
    }
    guard let kind = kind(path, inner, described, places) else { return nil }
    let sorted = places.sorted { KerasOrder.precedes($0.path.last ?? "", $1.path.last ?? "") }
    guard
      let roles = KerasRole.ofNumbers(
        kind, count: sorted.count, hasScale: described?.flag("scale"), hasCenter: described?.flag("center"))
    else { return nil }
    let name = inner.filter { $0 != "layers" }.joined(separator: ".")
    return KerasLayer(name: name, kind: kind, suffix: suffix, variables: Array(zip(roles, sorted)))
  }

  private func kind(
    _ path: [String], _ inner: [String], _ described: KerasModel.Layer?, _ places: [KerasReader.Place]
  ) -> KerasLayerKind? {
    if let described, described.path == inner {
      if let kind = KerasLayerKind(KerasModel.snakeCase(described.className)) { return kind }
      // A wrapper around another layer: TimeDistributed, Bidirectional.
      if case .dict(let wrapped)? = described.config["layer"], case .string(let name)? = wrapped["class_name"] {
        return KerasLayerKind(KerasModel.snakeCase(name))
      }
      return nil
    }
    if path.last == "cell", let kind = Self.recurrent(places.map(\.tensor.shape)) { return kind }
    // A model's own attribute, as subclasses have them, is a name without a class; the layer's name mostly tells it.
    return inner.last.flatMap { KerasLayerKind(KerasOrder.stem($0)) }
      ?? layerName(path).flatMap { KerasLayerKind(KerasOrder.stem($0)) }
  }

  private func layerName(_ path: [String]) -> String? {
    var value = Value.dict(file.root)
    for part in path + [Keras.variables] {
      guard case .dict(let dict) = value, let next = dict[part] else { return nil }
      value = next
    }
    guard case .dict(let dict) = value,
      case .string(let name)? = dict.attributes.first(where: { $0.name == "name" })?.value
    else { return nil }
    return name
  }

  /// The kind whose gates the shapes of a kernel and a recurrent one have.
  fileprivate static func recurrent(_ shapes: [[Int]]) -> KerasLayerKind? {
    guard shapes.count >= 2, shapes[0].count == 2, shapes[1].count == 2, shapes[1][0] > 0,
      shapes[0][1] == shapes[1][1]
    else { return nil }
    switch (shapes[1][1] / shapes[1][0], shapes[1][1] % shapes[1][0]) {
    case (4, 0): return .lstm
    case (3, 0): return .gru
    case (1, 0): return .simpleRNN
    default: return nil
    }
  }
}

// MARK: - Keras 1 and 2

extension KerasLayers {
  /// A layer by the names of its variables: `dense_1/kernel:0`.
  private func legacy(_ path: [String], _ places: [KerasReader.Place]) -> KerasLayer? {
    var roles: [(KerasRole, KerasReader.Place)] = []
    for place in places {
      guard let last = place.path.last,
        let role = KerasRole(rawValue: last.hasSuffix(":0") ? String(last.dropLast(2)) : last)
      else { return nil }
      roles.append((role, place))
    }
    var parts = path
    if parts.first == Keras.modelWeights { parts.removeFirst() }
    guard let group = parts.first else { return nil }
    parts.removeFirst()
    if let last = parts.last, KerasOrder.stem(last).hasSuffix("_cell") { parts.removeLast() }
    var name = group
    var suffix = ""
    if let last = parts.last, last != group {
      if last.hasPrefix("backward_") { suffix = "_reverse" } else if !last.hasPrefix("forward_") { name += ".\(last)" }
    }
    let own = parts.last ?? group
    guard let kind = kind(own, roles.map { ($0, $1.tensor.shape) }) else { return nil }
    return KerasLayer(name: name, kind: kind, suffix: suffix, variables: roles)
  }

  private func kind(_ name: String, _ variables: [(role: KerasRole, shape: [Int])]) -> KerasLayerKind? {
    let roles = variables.map(\.role)
    func shape(_ role: KerasRole) -> [Int]? { variables.first { $0.role == role }?.shape }
    if let kernel = shape(.kernel), let recurrent = shape(.recurrentKernel) {
      // CuDNNLSTM and CuDNNGRU have both biases in one row, and kernels in cuDNN's layout, which is another.
      if let bias = shape(.bias), bias.count == 1, kernel.last == bias[0] / 2 { return nil }
      return Self.recurrent([kernel, recurrent])
    }
    let className = model?.layers.last { $0.name == name }?.className
    if let kind = KerasLayerKind(className.map(KerasModel.snakeCase) ?? KerasOrder.stem(name)) { return kind }
    // A name of the user's own, and no description: the variables' names and dimensions.
    if roles.contains(.embeddings) { return .embedding }
    if roles.contains(.movingMean) { return .batchNorm }
    if roles.contains(.pointwiseKernel) { return .separable }
    if roles.contains(.depthwiseKernel) { return .depthwise }
    if roles.contains(.gamma) || roles.contains(.beta) { return .layerNorm }
    guard className == nil, let kernel = shape(.kernel) else { return nil }
    return kernel.count == 2 ? .dense : (3...5).contains(kernel.count) ? .convolution : nil
  }
}

extension KerasModel.Layer {
  fileprivate func flag(_ name: String) -> Bool? {
    if case .bool(let flag)? = config[name] { flag } else { nil }
  }
}
