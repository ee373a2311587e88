import Checkpoint

/// A variable of Keras, and how it is made of a module's tensors.
struct KerasVariable {
  /// The entries that it is made of: one, or the two biases of a recurrent layer.
  var names: [String]
  var isTrainable = true
  /// Makes it of them.
  var change: ([Tensor]) throws(CheckpointError) -> Tensor
  /// Makes its moment of theirs.
  var moment: ([Tensor]) throws(CheckpointError) -> Tensor

  init(
    _ names: [String], isTrainable: Bool = true, _ change: @escaping ([Tensor]) throws(CheckpointError) -> Tensor
  ) {
    (self.names, self.isTrainable, self.change, moment) = (names, isTrainable, change, change)
  }

  /// The tensor as it is.
  static func keep(_ name: String, isTrainable: Bool = true) -> KerasVariable {
    KerasVariable([name], isTrainable: isTrainable) { (tensors) throws(CheckpointError) in tensors[0] }
  }
}

/// A layer of Keras made of a module's entries in a state dict.
struct KerasTarget {
  /// The class in small letters, by which layers are numbered; and the groups below it.
  var stem: String
  var inner: [String] = []
  var variables: [KerasVariable]
}

/// The modules of a state dict as layers of Keras. Of what kind one is, its entries and their dimensions tell, and its
/// name where it is called as Keras calls its layers.
struct TorchModules {
  private(set) var targets: [KerasTarget] = []
  /// Entries of no layer known here.
  private(set) var left: [String] = []

  init(_ dict: StateDict) {
    var order: [String] = []
    var members: [Key: [(suffix: String, tensor: Tensor)]] = [:]
    for entry in dict.entries {
      guard let tensor = entry.tensor else {
        left.append(entry.name)
        continue
      }
      let (module, suffix) = Self.split(entry.name)
      if members[.string(module)] == nil { order.append(module) }
      members[.string(module), default: []].append((suffix, tensor))
    }
    for module in order {
      guard let entries = members[.string(module)] else { continue }
      var reader = TorchModule(module, entries)
      targets += reader.targets()
      left += reader.left
    }
  }

  /// `conv.depthwise.weight` is `depthwise.weight` of a separable layer `conv`, where the name says that it is one.
  private static func split(_ name: String) -> (module: String, suffix: String) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    var cut = parts.count - 1
    if cut >= 2, ["depthwise", "pointwise"].contains(parts[cut - 1]),
      KerasLayerKind(KerasOrder.stem(parts[cut - 2])) == .separable
    {
      cut -= 1
    }
    return (parts[..<cut].joined(separator: "."), parts[cut...].joined(separator: "."))
  }
}

/// One module's entries.
struct TorchModule {
  private let name: String
  private var entries: [(suffix: String, tensor: Tensor)]
  private(set) var left: [String] = []

  init(_ name: String, _ entries: [(suffix: String, tensor: Tensor)]) { (self.name, self.entries) = (name, entries) }

  private func path(_ suffix: String) -> String { name.isEmpty ? suffix : "\(name).\(suffix)" }
  private func tensor(_ suffix: String) -> Tensor? { entries.first { $0.suffix == suffix }?.tensor }

  private mutating func take(_ suffix: String) -> String? {
    guard let index = entries.firstIndex(where: { $0.suffix == suffix }) else { return nil }
    entries.remove(at: index)
    return path(suffix)
  }

  /// What its name says, where it is one that Keras gives.
  private var hint: KerasLayerKind? {
    let last = name.split(separator: ".").last.map(String.init) ?? ""
    return KerasLayerKind(KerasOrder.stem(last))
  }

  private var stem: String { KerasOrder.stem(name.split(separator: ".").last.map(String.init) ?? "") }

  mutating func targets() -> [KerasTarget] {
    var found = recurrent()
    if let target = separable() ?? plain() { found.append(target) }
    left = entries.map { path($0.suffix) }
    return found
  }

  // MARK: - Layers with one weight

  private mutating func plain() -> KerasTarget? {
    if tensor("running_mean") != nil, tensor("running_var") != nil { return batchNorm() }
    guard let weight = tensor("weight") else { return nil }
    switch weight.shape.count {
    case 1:
      return target(hint == .layerNorm ? stem : "layer_normalization", [.keep(path("weight"))])
    case 2 where isEmbedding: return target("embedding", [.keep(path("weight"))])
    case 2: return target("dense", [Self.kernel(path("weight"))])
    case 3...5: return convolution(weight)
    default: return nil
    }
  }

  private var isEmbedding: Bool {
    guard tensor("bias") == nil, hint != .dense else { return false }
    let last = (name.split(separator: ".").last ?? "").lowercased()
    return hint == .embedding || last.contains("emb") || ["wte", "wpe"].contains(last)
  }

  private mutating func target(_ stem: String, _ weights: [KerasVariable]) -> KerasTarget {
    var variables = weights
    _ = take("weight")
    if let bias = take("bias") { variables.append(.keep(bias)) }
    return KerasTarget(stem: stem, variables: variables)
  }

  private mutating func batchNorm() -> KerasTarget {
    var variables: [KerasVariable] = []
    for suffix in ["weight", "bias"] { if let path = take(suffix) { variables.append(.keep(path)) } }
    for suffix in ["running_mean", "running_var"] {
      if let path = take(suffix) { variables.append(.keep(path, isTrainable: false)) }
    }
    // Keras counts no batches.
    _ = take("num_batches_tracked")
    return KerasTarget(stem: "batch_normalization", variables: variables)
  }

  private mutating func convolution(_ weight: Tensor) -> KerasTarget {
    let dimensions = weight.shape.count - 2
    let last = (name.split(separator: ".").last ?? "").lowercased()
    if hint == .transposedConvolution || last.contains("transpose") || last.contains("deconv") {
      return target("conv\(dimensions)d_transpose", [Self.kernel(path("weight"))])
    }
    if hint == .depthwise, weight.shape[1] == 1 {
      return target("depthwise_conv\(dimensions)d", [Self.depthwise(path("weight"))])
    }
    return target("conv\(dimensions)d", [Self.kernel(path("weight"))])
  }

  private mutating func separable() -> KerasTarget? {
    guard hint == .separable, let depth = take("depthwise.weight"), let point = take("pointwise.weight") else {
      return nil
    }
    var variables = [Self.depthwise(depth), Self.kernel(point)]
    if let bias = take("pointwise.bias") { variables.append(.keep(bias)) }
    return KerasTarget(stem: stem, variables: variables)
  }

  /// The way back of `KerasForm`: the last two dimensions first, the other way round.
  private static func kernel(_ name: String) -> KerasVariable {
    KerasVariable([name]) { (tensors) throws(CheckpointError) in
      try tensors[0].permuted(Array(2..<tensors[0].shape.count) + [1, 0])
    }
  }

  /// One output for each channel: how many there are for each, the shape does not tell.
  private static func depthwise(_ name: String) -> KerasVariable {
    KerasVariable([name]) { (tensors) throws(CheckpointError) in
      try tensors[0].permuted(Array(2..<tensors[0].shape.count) + [0, 1])
    }
  }

  // MARK: - Recurrent layers

  /// Each of a module's layers is a layer of Keras; with a backward half it is bidirectional.
  private mutating func recurrent() -> [KerasTarget] {
    var found: [KerasTarget] = []
    var level = 0
    while let input = tensor("weight_ih_l\(level)"), let state = tensor("weight_hh_l\(level)"),
      let kind = Self.kind(input, state)
    {
      let isBidirectional = tensor("weight_ih_l\(level)_reverse") != nil
      guard let forward = cell(kind, "l\(level)") else { break }
      if isBidirectional, let backward = cell(kind, "l\(level)_reverse") {
        found.append(KerasTarget(stem: "bidirectional", inner: ["forward_layer", "cell"], variables: forward))
        // The same layer's other half: it takes no number of its own.
        found.append(KerasTarget(stem: "", inner: ["backward_layer", "cell"], variables: backward))
      } else {
        let stem = kind == .lstm ? "lstm" : kind == .gru ? "gru" : "simple_rnn"
        found.append(KerasTarget(stem: stem, inner: ["cell"], variables: forward))
      }
      level += 1
    }
    return found
  }

  private static func kind(_ input: Tensor, _ state: Tensor) -> KerasLayerKind? {
    guard input.shape.count == 2, state.shape.count == 2, state.shape[1] > 0, input.shape[0] == state.shape[0] else {
      return nil
    }
    switch (state.shape[0] / state.shape[1], state.shape[0] % state.shape[1]) {
    case (4, 0): return .lstm
    case (3, 0): return .gru
    case (1, 0): return .simpleRNN
    default: return nil
    }
  }

  private mutating func cell(_ kind: KerasLayerKind, _ end: String) -> [KerasVariable]? {
    guard let input = take("weight_ih_\(end)"), let state = take("weight_hh_\(end)") else { return nil }
    let gates = { (name: String) in
      KerasVariable([name]) { (tensors) throws(CheckpointError) in
        try tensors[0].reordered(kind.gates).permuted([1, 0])
      }
    }
    var variables = [gates(input), gates(state)]
    if let a = take("bias_ih_\(end)"), let b = take("bias_hh_\(end)") { variables.append(Self.bias(kind, a, b)) }
    return variables
  }

  private static func bias(_ kind: KerasLayerKind, _ input: String, _ state: String) -> KerasVariable {
    guard kind == .gru else {
      var variable = KerasVariable([input, state]) { (tensors) throws(CheckpointError) in
        try tensors[0].sum(with: tensors[1])
      }
      variable.moment = { (tensors) throws(CheckpointError) in try tensors[0].copied() }
      return variable
    }
    return KerasVariable([input, state]) { (tensors) throws(CheckpointError) in
      let rows = [try tensors[0].reordered(kind.gates), try tensors[1].reordered(kind.gates)]
      guard rows[0].shape == rows[1].shape, rows[0].dtype == rows[1].dtype else {
        throw CheckpointError(.damaged, "two biases of the shapes \(rows[0].shape) and \(rows[1].shape)")
      }
      return try Tensor(dtype: rows[0].dtype, shape: [2] + rows[0].shape, source: JoinedSource(rows.map(\.source)))
    }
  }
}

extension Tensor {
  /// Two biases in one, as Keras has it.
  fileprivate func sum(with other: Tensor) throws(CheckpointError) -> Tensor {
    guard shape == other.shape, dtype == other.dtype else {
      throw CheckpointError(.damaged, "two biases of the shapes \(shape) and \(other.shape)")
    }
    switch dtype {
    case .float32:
      let sums = zip(try elements(as: Float.self), try other.elements(as: Float.self)).map { $0 + $1 }
      return try Tensor(dtype: dtype, shape: shape, source: BufferSource(elements: sums))
    case .float64:
      let sums = zip(try elements(as: Double.self), try other.elements(as: Double.self)).map { $0 + $1 }
      return try Tensor(dtype: dtype, shape: shape, source: BufferSource(elements: sums))
    default:
      throw CheckpointError(
        .unsupported, "two biases of \(dtype.rawValue), which Keras has as one",
        advice: "Convert to float32 first: --dtype float32.")
    }
  }
}
