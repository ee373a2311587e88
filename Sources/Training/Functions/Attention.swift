public import Checkpoint
internal import Kernels

/// softmax(q k^T / sqrt(width)) v for each head: `torch.nn.functional.scaled_dot_product_attention`.
///
/// - Parameters:
///   - query: `[batch, heads, queries, width]`; `key` and `value` are `[batch, heads, keys, width]`.
///   - dropoutP: with what probability each weight is dropped.
///   - isCausal: whether query i sees the keys 0 to i alone.
///   - scale: 1 / sqrt(width) where nil.
/// - Throws: `usage` when the shapes do not fit.
public func scaledDotProductAttention(
  _ query: Variable, _ key: Variable, _ value: Variable, dropoutP: Double = 0, isCausal: Bool = false,
  scale: Double? = nil, generator: Generator? = nil
) throws(CheckpointError) -> Variable {
  for input in [query, key, value] { try input.checkFloats("attention") }
  let (query, key, value) = (try query.contiguous(), try key.contiguous(), try value.contiguous())
  let (q, k) = (query.shape, key.shape)
  guard q.count == 4, k.count == 4, value.shape == k, q[0] == k[0], q[1] == k[1], q[3] == k[3] else {
    throw CheckpointError(
      .usage,
      "attention: queries, keys and values of shapes \(q), \(k) and \(value.shape), where "
        + "[batch, heads, queries, width] and twice [batch, heads, keys, width] are due")
  }
  var shape = AttentionShape(
    batch: q[0], heads: q[1], queries: q[2], keys: k[2], width: q[3], isCausal: isCausal,
    scale: Float(scale ?? 1 / Double(q[3]).squareRoot()))
  try shape.setDropout(dropoutP, generator)
  let result = Variable(shape: q, dtype: .float32, storage: try Storage(byteCount: query.count * 4))
  let logs = try Storage(byteCount: q[0] * q[1] * q[2] * 4)
  let work = AttentionWork(
    shape: shape, query: shape.matrix(query.storage, rows: q[2]), key: shape.matrix(key.storage, rows: k[2]),
    value: shape.matrix(value.storage, rows: k[2]), output: shape.matrix(result.storage, rows: q[2]),
    logs: logs.floats)
  try work.run()
  if records(query, key, value) { result.computed(by: AttentionNode(query, key, value, result.storage, logs, work)) }
  return result
}

extension AttentionShape {
  fileprivate mutating func setDropout(_ p: Double, _ generator: Generator?) throws(CheckpointError) {
    guard p >= 0, p <= 1 else { throw CheckpointError(.usage, "attention: dropout of \(p) is no probability") }
    guard p > 0 else { return }
    dropout = p
    numbers = RandomNumbers(generator, batch * heads * queries * stride)
  }

  /// A row-major `[batch, heads, rows, width]`.
  fileprivate func matrix(_ storage: Storage, rows: Int) -> HeadMatrix {
    HeadMatrix(base: storage.floats, batchStride: heads * rows * width, headStride: rows * width, row: width)
  }

  /// One of `parts` matrices side by side in a row-major `[batch, rows, parts * heads * width]`.
  fileprivate func column(_ storage: Storage, part: Int, of parts: Int, rows: Int) -> HeadMatrix {
    let row = parts * heads * width
    return HeadMatrix(
      base: storage.floats + part * heads * width, batchStride: rows * row, headStride: width, row: row)
  }
}

private final class AttentionNode: Node {
  private let result, logs: Storage
  private let work: AttentionWork

  init(
    _ query: Variable, _ key: Variable, _ value: Variable, _ result: Storage, _ logs: Storage, _ work: AttentionWork
  ) {
    self.result = result
    self.logs = logs
    self.work = work
    super.init(query, key, value)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    guard let key = second, let value = third else { return }
    let shape = work.shape
    let dQuery = try Storage(byteCount: first.count * 4)
    let dKey = try Storage(byteCount: key.count * 4)
    let dValue = try Storage(byteCount: key.count * 4)
    var back = work
    back.back = AttentionWork.Gradients(
      output: shape.matrix(gradient, rows: shape.queries), query: shape.matrix(dQuery, rows: shape.queries),
      key: shape.matrix(dKey, rows: shape.keys), value: shape.matrix(dValue, rows: shape.keys))
    try back.run()
    if first.requiresGrad { try first.addGradient(dQuery) }
    if key.requiresGrad { try key.addGradient(dKey) }
    if value.requiresGrad { try value.addGradient(dValue) }
  }
}

/// Causal attention of a sequence to itself: `qkv` is `[batch, sequence, 3 * heads * width]`, queries, keys and values
/// side by side as GPT-2 has them; the result `[batch, sequence, heads * width]`.
func causalSelfAttention(
  _ qkv: Variable, heads: Int, dropoutP: Double, generator: Generator?
) throws(CheckpointError) -> Variable {
  guard qkv.shape.count == 3, heads > 0, qkv.shape[2] % (3 * heads) == 0 else {
    throw CheckpointError(
      .usage,
      "attention of \(heads) heads: an input of shape \(qkv.shape), where [batch, sequence, 3 * heads * width] "
        + "is due")
  }
  let (batch, length, width) = (qkv.shape[0], qkv.shape[1], qkv.shape[2] / (3 * heads))
  var shape = AttentionShape(
    batch: batch, heads: heads, queries: length, keys: length, width: width, isCausal: true,
    scale: Float(1 / Double(width).squareRoot()))
  try shape.setDropout(dropoutP, generator)
  let result = Variable(
    shape: [batch, length, heads * width], dtype: .float32, storage: try Storage(byteCount: qkv.count / 3 * 4))
  let logs = try Storage(byteCount: batch * heads * length * 4)
  let work = AttentionWork(
    shape: shape, query: shape.column(qkv.storage, part: 0, of: 3, rows: length),
    key: shape.column(qkv.storage, part: 1, of: 3, rows: length),
    value: shape.column(qkv.storage, part: 2, of: 3, rows: length),
    output: shape.column(result.storage, part: 0, of: 1, rows: length), logs: logs.floats)
  try work.run()
  if records(qkv) { result.computed(by: SelfAttentionNode(qkv, result.storage, logs, work)) }
  return result
}

private final class SelfAttentionNode: Node {
  private let result, logs: Storage
  private let work: AttentionWork

  init(_ qkv: Variable, _ result: Storage, _ logs: Storage, _ work: AttentionWork) {
    self.result = result
    self.logs = logs
    self.work = work
    super.init(qkv)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    let shape = work.shape
    let dInput = try Storage(byteCount: first.count * 4)
    var back = work
    back.back = AttentionWork.Gradients(
      output: shape.column(gradient, part: 0, of: 1, rows: shape.queries),
      query: shape.column(dInput, part: 0, of: 3, rows: shape.queries),
      key: shape.column(dInput, part: 1, of: 3, rows: shape.queries),
      value: shape.column(dInput, part: 2, of: 3, rows: shape.queries))
    try back.run()
    try first.addGradient(dInput)
  }
}
