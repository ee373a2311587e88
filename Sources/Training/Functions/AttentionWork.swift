import Checkpoint
internal import Kernels

/// The sizes of an attention: for each of `batch * heads` heads, `queries` rows against `keys` rows of `width` numbers.
struct AttentionShape {
  var batch, heads, queries, keys, width: Int
  var isCausal: Bool
  var scale: Float
  var dropout = 0.0
  var numbers: RandomNumbers?

  /// Rows of queries that are computed at once: their scores stay in the second cache, and what a causal attention
  /// does not look at is left out but for half a block.
  static let block = 64

  /// Numbers of the random sequence for one row of probabilities.
  var stride: Int { (keys + 3) & ~3 }

  /// How many keys the rows of a block see.
  func visible(_ first: Int, _ rows: Int) -> Int { isCausal ? min(keys, first + rows) : keys }
}

/// The matrices of all heads in memory: head (b, h) begins at `b * batchStride + h * headStride`, its rows lie `row`
/// apart.
struct HeadMatrix {
  var base: UnsafeMutablePointer<Float>
  var batchStride, headStride, row: Int

  func head(_ index: Int, of heads: Int) -> UnsafeMutablePointer<Float> {
    base + (index / heads * batchStride + index % heads * headStride)
  }
}

/// One attention, forth or back; each head is computed by one thread.
struct AttentionWork {
  let shape: AttentionShape
  let query, key, value, output: HeadMatrix
  /// The logarithm of each row's sum of exponentials, `[batch * heads, queries]`.
  let logs: UnsafeMutablePointer<Float>
  /// The gradients; nil on the way forth.
  var back: Gradients?

  struct Gradients {
    var output, query, key, value: HeadMatrix
  }

  func run() throws(CheckpointError) {
    let count = shape.batch * shape.heads
    guard count > 0, shape.queries > 0, shape.keys > 0 else { return }
    var call = Call(work: self, failed: false)
    withUnsafeMutablePointer(to: &call) { context in
      ck_parallel(
        count,
        { context, index in
          guard let call = context?.assumingMemoryBound(to: Call.self) else { return }
          do throws(CheckpointError) {
            try call.pointee.work.compute(index)
          } catch {
            // Only ever set, and read once all threads are done.
            call.pointee.failed = true
          }
        }, context)
    }
    if call.failed { throw CheckpointError(.inputOutput, "no memory for an attention's scores") }
  }

  private struct Call {
    let work: AttentionWork
    var failed: Bool
  }

  private func compute(_ index: Int) throws(CheckpointError) {
    let size = AttentionShape.block
    if let back {
      let scratch = try Storage(byteCount: (2 * size * shape.keys + size) * 4)
      clearUnseen(index, back)
      // From the last block, which sees the most keys and sets their gradients, to the first.
      for block in (0..<((shape.queries + size - 1) / size)).reversed() { goBack(index, block, back, scratch.floats) }
    } else {
      let scratch = try Storage(byteCount: (size * shape.keys + size) * 4)
      for block in 0..<((shape.queries + size - 1) / size) { goForth(index, block, scratch.floats) }
    }
  }

  private func goForth(_ index: Int, _ block: Int, _ scores: UnsafeMutablePointer<Float>) {
    let first = block * AttentionShape.block
    let rows = min(AttentionShape.block, shape.queries - first)
    let seen = shape.visible(first, rows)
    let sums = scores + AttentionShape.block * shape.keys
    computeScores(index, first, rows, seen, scores)
    ck_attention_softmax(
      scores, rows, seen, first, shape.isCausal ? 1 : 0, shape.scale, sums, logs + index * shape.queries + first)
    drop(index, first, rows, seen, scores, nil)
    let out = output.head(index, of: shape.heads) + first * output.row
    ActiveBackend.sgemm(
      Product(
        m: rows, n: shape.width, k: seen, a: scores, lda: seen, b: value.head(index, of: shape.heads), ldb: value.row,
        c: out, ldc: output.row))
    ck_divide_rows(out, output.row, rows, shape.width, sums)
  }

  /// The products of a block of queries with all keys that it sees.
  private func computeScores(
    _ index: Int, _ first: Int, _ rows: Int, _ seen: Int, _ scores: UnsafeMutablePointer<Float>
  ) {
    ActiveBackend.sgemm(
      Product(
        transposeB: true, m: rows, n: seen, k: shape.width,
        a: query.head(index, of: shape.heads) + first * query.row, lda: query.row,
        b: key.head(index, of: shape.heads), ldb: key.row, c: scores, ldc: seen))
  }

  private func drop(
    _ index: Int, _ first: Int, _ rows: Int, _ seen: Int, _ a: UnsafeMutablePointer<Float>,
    _ b: UnsafeMutablePointer<Float>?
  ) {
    guard let numbers = shape.numbers else { return }
    ck_dropout_rows(
      a, b, rows, seen, seen, shape.dropout, numbers.seed, numbers.block, UInt64(index * shape.queries + first),
      UInt64(shape.stride))
  }

  /// Keys that no query sees have a gradient of zero.
  private func clearUnseen(_ index: Int, _ back: Gradients) {
    for row in min(shape.keys, shape.visible(0, shape.queries))..<shape.keys {
      (back.key.head(index, of: shape.heads) + row * back.key.row).update(repeating: 0, count: shape.width)
      (back.value.head(index, of: shape.heads) + row * back.value.row).update(repeating: 0, count: shape.width)
    }
  }

  /// With P the probabilities, O their product with the values V, and dropout's mask on P in both:
  /// dV = P^T dO, dP = dO V^T, dS = P (dP - rowsum(dO O)), dQ = dS K, dK = dS^T Q.
  private func goBack(_ index: Int, _ block: Int, _ back: Gradients, _ scratch: UnsafeMutablePointer<Float>) {
    let first = block * AttentionShape.block
    let rows = min(AttentionShape.block, shape.queries - first)
    let seen = shape.visible(first, rows)
    let isFirst = first + AttentionShape.block >= shape.queries
    let (p, d) = (scratch, scratch + AttentionShape.block * shape.keys)
    let inner = d + AttentionShape.block * shape.keys
    let gradient = back.output.head(index, of: shape.heads) + first * back.output.row
    let values = value.head(index, of: shape.heads)
    computeScores(index, first, rows, seen, p)
    ck_attention_again(
      p, rows, seen, first, shape.isCausal ? 1 : 0, shape.scale, logs + index * shape.queries + first)
    ck_row_dots(
      inner, gradient, back.output.row, output.head(index, of: shape.heads) + first * output.row, output.row, rows,
      shape.width)
    ActiveBackend.sgemm(
      Product(
        transposeB: true, m: rows, n: seen, k: shape.width, a: gradient, lda: back.output.row, b: values,
        ldb: value.row, c: d, ldc: seen))
    backThroughSoftmax(index, first, rows, seen, p, d, inner, gradient, back, isFirst)
    ActiveBackend.sgemm(
      Product(
        m: rows, n: shape.width, k: seen, a: d, lda: seen, b: key.head(index, of: shape.heads), ldb: key.row,
        c: back.query.head(index, of: shape.heads) + first * back.query.row, ldc: back.query.row))
    ActiveBackend.sgemm(
      Product(
        transposeA: true, m: seen, n: shape.width, k: rows, a: d, lda: seen,
        b: query.head(index, of: shape.heads) + first * query.row, ldb: query.row, beta: isFirst ? 0 : 1,
        c: back.key.head(index, of: shape.heads), ldc: back.key.row))
  }

  /// The values' gradient, and `d` from the gradient of the probabilities to that of the scores.
  private func backThroughSoftmax(
    _ index: Int, _ first: Int, _ rows: Int, _ seen: Int, _ p: UnsafeMutablePointer<Float>,
    _ d: UnsafeMutablePointer<Float>, _ inner: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>,
    _ back: Gradients, _ isFirst: Bool
  ) {
    if shape.numbers == nil {
      addValueGradient(index, rows, seen, p, gradient, back, isFirst)
      ck_attention_back(d, p, rows, seen, inner, shape.scale)
      return
    }
    // dS needs P without the mask, dV with it.
    drop(index, first, rows, seen, d, nil)
    ck_attention_back(d, p, rows, seen, inner, shape.scale)
    drop(index, first, rows, seen, p, nil)
    addValueGradient(index, rows, seen, p, gradient, back, isFirst)
  }

  private func addValueGradient(
    _ index: Int, _ rows: Int, _ seen: Int, _ p: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>,
    _ back: Gradients, _ isFirst: Bool
  ) {
    ActiveBackend.sgemm(
      Product(
        transposeA: true, m: seen, n: shape.width, k: rows, a: p, lda: seen, b: gradient, ldb: back.output.row,
        beta: isFirst ? 0 : 1, c: back.value.head(index, of: shape.heads), ldc: back.value.row))
  }
}
