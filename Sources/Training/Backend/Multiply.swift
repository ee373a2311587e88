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
/// C is cut into tiles whose sizes depend on the sizes of the matrices alone; each is computed by one thread, whole: so
/// every element is summed up in the same order, whatever the number of threads.
func multiply(_ product: Product, _ epilogue: Epilogue = Epilogue()) {
  guard product.m > 0, product.n > 0 else { return }
  if product.m * product.n * product.k <= smallProduct, product.alpha == 1, product.beta == 0 || product.beta == 1 {
    ck_small_gemm(
      product.transposeA ? 1 : 0, product.transposeB ? 1 : 0, product.m, product.n, product.k, product.a, product.lda,
      product.b, product.ldb, product.beta == 0 ? 0 : 1, product.c, product.ldc)
    finish(product, epilogue, 0, product.m, 0, product.n)
    return
  }
  var tiled = Tiled(product, epilogue)
  withUnsafeMutablePointer(to: &tiled) { context in
    ck_parallel(
      context.pointee.count,
      { context, index in
        context?.assumingMemoryBound(to: Tiled.self).pointee.compute(index)
      }, context)
  }
}

/// Multiplications below which calling a library costs more than computing.
private let smallProduct = 2048

/// A product cut into tiles.
private struct Tiled {
  let product: Product
  let epilogue: Epilogue
  let rows, columns: Int
  let across: Int
  let count: Int

  init(_ product: Product, _ epilogue: Epilogue) {
    self.product = product
    self.epilogue = epilogue
    // Measured: tiles of 192 x 384 cost the library 1 to 3 % against the whole; smaller ones are made where there would
    // be too few to share, down to some ten microseconds each.
    var down = (product.m + 191) / 192
    var across = (product.n + 383) / 384
    let wanted = min(8, product.m * product.n * product.k / (4 << 20))
    while down * across < wanted {
      let (height, width) = (product.m / down, product.n / across)
      guard max(height, width) >= 64 else { break }
      if width >= 2 * height || height < 64 { across *= 2 } else { down *= 2 }
    }
    rows = Self.size(product.m, down, 8)
    columns = Self.size(product.n, across, 16)
    self.across = (product.n + columns - 1) / columns
    count = (product.m + rows - 1) / rows * self.across
  }

  /// `total` in `parts`, each a multiple of `unit`.
  private static func size(_ total: Int, _ parts: Int, _ unit: Int) -> Int {
    let size = (total + parts - 1) / parts
    return (size + unit - 1) / unit * unit
  }

  func compute(_ index: Int) {
    let (row, column) = (index / across * rows, index % across * columns)
    let (height, width) = (min(rows, product.m - row), min(columns, product.n - column))
    ActiveBackend.sgemm(product.tile(row, height, column, width))
    finish(product, epilogue, row, height, column, width)
  }
}

/// The epilogue of one tile.
private func finish(_ product: Product, _ epilogue: Epilogue, _ i: Int, _ rows: Int, _ j: Int, _ columns: Int) {
  guard !epilogue.isEmpty else { return }
  let place = i * product.ldc + j
  ck_epilogue(
    product.c + place, product.ldc, rows, columns, epilogue.bias.map { $0 + j }, epilogue.residual.map { $0 + place },
    epilogue.activation.code, epilogue.input.map { $0 + place })
}
