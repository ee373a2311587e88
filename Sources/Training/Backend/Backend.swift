/// Who multiplies matrices: one product, on the calling thread alone. The threads are ours, so that results do not
/// depend on their number.
protocol Backend {
  /// C = alpha op(A) op(B) + beta C in row-major order; with beta 0, C is not read.
  static func sgemm(_ product: Product)
}

/// The operands of a matrix product: op(A) is `m x k`, op(B) `k x n`, C `m x n`; `lda`, `ldb`, `ldc` are the distances
/// between rows in memory.
struct Product {
  var transposeA = false
  var transposeB = false
  var m, n, k: Int
  var alpha: Float = 1
  var a: UnsafePointer<Float>
  var lda: Int
  var b: UnsafePointer<Float>
  var ldb: Int
  var beta: Float = 0
  var c: UnsafeMutablePointer<Float>
  var ldc: Int

  /// The product's part for rows `i ..< i + rows` and columns `j ..< j + columns` of C.
  func tile(_ i: Int, _ rows: Int, _ j: Int, _ columns: Int) -> Product {
    var part = self
    part.m = rows
    part.n = columns
    part.a = a + (transposeA ? i : i * lda)
    part.b = b + (transposeB ? j * ldb : j)
    part.c = c + (i * ldc + j)
    return part
  }

  /// The product's part of each sum for `length` elements from `l`.
  func piece(_ l: Int, _ length: Int) -> Product {
    var part = self
    part.k = length
    part.a = a + (transposeA ? l * lda : l)
    part.b = b + (transposeB ? l : l * ldb)
    return part
  }
}

#if OneDNN
  typealias ActiveBackend = OneDNNBackend
#elseif OpenBLAS
  typealias ActiveBackend = OpenBLASBackend
#else
  typealias ActiveBackend = PlainBackend
#endif
