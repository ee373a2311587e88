import Checkpoint

/// One tensor that PyTorch makes of a variable of Keras.
struct KerasForm {
  /// The last part of its name in a state dict.
  var name: String
  var isParameter = true
  /// Makes it of the variable.
  var change: (Tensor) throws(CheckpointError) -> Tensor
  /// Makes its moment of the variable's.
  var moment: (Tensor) throws(CheckpointError) -> Tensor

  private init(_ name: String, isParameter: Bool = true, _ change: @escaping (Tensor) throws(CheckpointError) -> Tensor)
  {
    (self.name, self.isParameter, self.change, moment) = (name, isParameter, change, change)
  }

  private static func keep(_ name: String, isParameter: Bool = true) -> KerasForm {
    KerasForm(name, isParameter: isParameter) { (tensor) throws(CheckpointError) in tensor }
  }

  /// What PyTorch makes of a variable.
  static func torch(_ kind: KerasLayerKind, _ role: KerasRole) throws(CheckpointError) -> [KerasForm] {
    switch role {
    case .gamma: return [keep("weight")]
    case .beta: return [keep("bias")]
    case .movingMean: return [keep("running_mean", isParameter: false)]
    case .movingVariance: return [keep("running_var", isParameter: false)]
    case .embeddings: return [keep("weight")]
    case .bias: return kind.isRecurrent ? biases(kind) : [keep(kind == .separable ? "pointwise.bias" : "bias")]
    case .kernel where kind.isRecurrent: return [gates("weight_ih_l0", kind)]
    case .recurrentKernel: return [gates("weight_hh_l0", kind)]
    case .depthwiseKernel: return [depthwise(kind == .separable ? "depthwise.weight" : "weight")]
    case .kernel where kind == .depthwise: return [depthwise("weight")]
    case .pointwiseKernel: return [kernel("pointwise.weight")]
    case .kernel: return [kernel("weight")]
    }
  }

  /// `[in, out]` to `[out, in]`; `[height, width, in, out]` to `[out, in, height, width]`, and of a transposed
  /// convolution `[height, width, out, in]` to `[in, out, height, width]`, which is the same step.
  private static func kernel(_ name: String) -> KerasForm {
    KerasForm(name) { (tensor) throws(CheckpointError) in
      let rank = tensor.shape.count
      guard (2...5).contains(rank) else {
        throw CheckpointError(.damaged, "a kernel of shape \(tensor.shape); expected 2 to 5 dimensions")
      }
      return try tensor.permuted([rank - 1, rank - 2] + Array(0..<(rank - 2)))
    }
  }

  /// `[height, width, in, multiplier]` to `[in * multiplier, 1, height, width]`.
  private static func depthwise(_ name: String) -> KerasForm {
    KerasForm(name) { (tensor) throws(CheckpointError) in
      let rank = tensor.shape.count
      guard (3...5).contains(rank) else {
        throw CheckpointError(.damaged, "a kernel of shape \(tensor.shape); expected 3 to 5 dimensions")
      }
      let space = Array(tensor.shape.prefix(rank - 2))
      let (out, overflow) = tensor.shape[rank - 2].multipliedReportingOverflow(by: tensor.shape[rank - 1])
      guard !overflow else { throw CheckpointError(.damaged, "a kernel of shape \(tensor.shape)") }
      return try tensor.permuted([rank - 2, rank - 1] + Array(0..<(rank - 2)), shape: [out, 1] + space)
    }
  }

  /// `[in, gates * units]` to `[gates * units, in]`, the gates in PyTorch's order.
  private static func gates(_ name: String, _ kind: KerasLayerKind) -> KerasForm {
    KerasForm(name) { (tensor) throws(CheckpointError) in try tensor.permuted([1, 0]).reordered(kind.gates) }
  }

  /// The bias of the input and that of the state, which Keras has apart for GRU only.
  private static func biases(_ kind: KerasLayerKind) -> [KerasForm] {
    guard kind == .gru else {
      var state = KerasForm("bias_hh_l0") { (tensor) throws(CheckpointError) in try tensor.zeros() }
      // Both get the same gradient.
      state.moment = { (tensor) throws(CheckpointError) in try tensor.copied() }
      return [keep("bias_ih_l0"), state]
    }
    return (0..<2).map { row in
      KerasForm(row == 0 ? "bias_ih_l0" : "bias_hh_l0") { (tensor) throws(CheckpointError) in
        guard tensor.shape.count == 2, tensor.shape[0] == 2 else {
          throw CheckpointError(.unsupported, "a GRU with reset_after=False, which PyTorch does not have")
        }
        return try tensor.row(row).reordered(kind.gates)
      }
    }
  }
}
