internal import Kernels

/// What is done to a product once it is computed, while it is still near.
struct Epilogue {
  /// Added to each row: `n` numbers.
  var bias: UnsafePointer<Float>?
  /// Added to each row: a matrix like C, with C's distance between rows.
  var residual: UnsafePointer<Float>?
  var activation = Activation.none
  /// Where the activation's input goes when the way back needs it: like C.
  var input: UnsafeMutablePointer<Float>?

  var isEmpty: Bool { bias == nil && residual == nil && activation == .none }
}

/// C = alpha op(A) op(B) + beta C over all threads, with an epilogue.
///
/// The work is cut into parts that depend on the sizes of the matrices alone; each is computed by one thread, whole, and
/// where several belong to one element they are added in their order: so every element is summed up in the same order,
/// whatever the number of threads.
func multiply(_ product: Product, _ epilogue: Epilogue = Epilogue()) {
  guard product.m > 0, product.n > 0 else { return }
  if product.m * product.n * product.k <= smallProduct, product.alpha == 1, product.beta == 0 || product.beta == 1 {
    ck_small_gemm(
      product.transposeA ? 1 : 0, product.transposeB ? 1 : 0, product.m, product.n, product.k, product.a, product.lda,
      product.b, product.ldb, product.beta == 0 ? 0 : 1, product.c, product.ldc)
    finish(product, epilogue, 0, product.m, 0, product.n)
    return
  }
  var cut = Cut(product.m, product.n, product.k)
  let bytes = (cut.depth - 1) * product.m * product.n * 4
  let pieces = bytes > 0 ? ck_block_take(bytes) : nil
  // Where memory is short, sums are slower, and round otherwise.
  if pieces == nil { cut.keepSumsWhole(product.k) }
  var parts = Parts(product, epilogue, cut, pieces?.assumingMemoryBound(to: Float.self))
  withUnsafeMutablePointer(to: &parts) { context in
    ck_parallel(
      cut.tiles * cut.depth, { $0?.assumingMemoryBound(to: Parts.self).pointee.compute($1) }, context)
    guard cut.depth > 1 else { return }
    ck_parallel(cut.tiles, { $0?.assumingMemoryBound(to: Parts.self).pointee.add($1) }, context)
  }
  if let pieces { ck_block_give(pieces, bytes) }
}

/// Multiplications below which calling a library costs more than computing.
private let smallProduct = 2048

/// The epilogue of one tile.
func finish(_ product: Product, _ epilogue: Epilogue, _ i: Int, _ rows: Int, _ j: Int, _ columns: Int) {
  guard !epilogue.isEmpty else { return }
  let place = i * product.ldc + j
  ck_epilogue(
    product.c + place, product.ldc, rows, columns, epilogue.bias.map { $0 + j }, epilogue.residual.map { $0 + place },
    epilogue.activation.code, epilogue.input.map { $0 + place })
}
