public import Checkpoint
internal import Kernels

extension Variable {
  /// The same value with the elements in row-major order: itself where they are.
  func contiguous() throws(CheckpointError) -> Variable { try inLayout(.contiguous) }

  /// The same value, `[N, C, H, W]`, with the channels next to one another: itself where they are, as they always are
  /// when there is one channel or one pixel.
  func channelsLast() throws(CheckpointError) -> Variable { try inLayout(.channelsLast) }

  private func inLayout(_ wanted: Layout) throws(CheckpointError) -> Variable {
    guard layout != wanted, shape.count == 4 else { return self }
    let (channels, pixels) = (shape[1], shape[2] * shape[3])
    // One order is the other: the kernels may take this value for either, but a name of its own keeps what follows
    // simple.
    guard channels > 1, pixels > 1 else { return renamed(wanted) }
    let (from, to) = wanted == .contiguous ? (pixels, channels) : (channels, pixels)
    let result = try Storage(byteCount: count * 4)
    try Self.transpose(storage.floats, result.floats, images: shape[0], rows: from, columns: to)
    return Self.result(of: [self], shape: shape, layout: wanted, storage: result) {
      [self] (gradient) throws(CheckpointError) in
      let back = try Storage(byteCount: count * 4)
      try Self.transpose(gradient.floats, back.floats, images: shape[0], rows: to, columns: from)
      try addGradient(back)
    }
  }

  /// This memory under another layout.
  private func renamed(_ layout: Layout) -> Variable {
    Self.result(of: [self], shape: shape, layout: layout, storage: storage) {
      [self] (gradient) throws(CheckpointError) in try addGradient(gradient)
    }
  }

  private static func transpose(
    _ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, images: Int, rows: Int, columns: Int
  ) throws(CheckpointError) {
    let size = rows * columns
    let piece = max(1, (1 << 15) / max(1, size), (images + 63) / 64)
    try inPieces((images + piece - 1) / piece) { index in
      let first = index * piece
      ck_transpose(to + first * size, from + first * size, min(piece, images - first), rows, columns)
    }
  }
}

/// Makes the dimensions from `startDim` to `endDim` one: `torch.flatten`, in PyTorch's order whatever the layout.
///
/// - Throws: `usage` when there are no such dimensions.
public func flatten(_ input: Variable, startDim: Int = 0, endDim: Int = -1) throws(CheckpointError) -> Variable {
  let rank = input.shape.count
  let first = startDim < 0 ? startDim + rank : startDim
  let last = endDim < 0 ? endDim + rank : endDim
  guard rank > 0, first >= 0, first <= last, last < rank else {
    throw CheckpointError(
      .usage, "flatten: no dimensions from \(startDim) to \(endDim) in an input of shape \(input.shape)")
  }
  guard first < last else { return input }
  let rows = try input.contiguous()
  let product = input.shape[first...last].reduce(1, *)
  return Variable.result(
    of: [rows], shape: input.shape[..<first] + [product] + input.shape[(last + 1)...], storage: rows.storage
  ) { (gradient) throws(CheckpointError) in try rows.addGradient(gradient) }
}
