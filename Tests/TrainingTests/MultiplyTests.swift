import Checkpoint
import Testing

@testable import Training

/// Products as they are cut for threads. Serialised: the number of threads is one for the process.
@Suite(.serialized) struct MultiplyTests {
  /// Sizes whose cuts differ: one part, tiles, sums in pieces, both, and what leaves rests in all directions.
  private static let sizes = [
    (64, 128, 9216), (33, 41, 5003), (131, 517, 2100), (301, 45, 4099), (70, 260, 300), (500, 900, 37), (1, 3, 70_000),
  ]

  /// Numbers that look like noise, from -1 to 1.
  private func noise(_ count: Int, seed: UInt64) -> [Float] {
    Generator(seed: seed).bits(count).map { Float($0 >> 8) / Float(1 << 23) - 1 }
  }

  /// op(A) op(B), with B transposed in memory, added to a matrix of ones.
  private func computed(_ m: Int, _ n: Int, _ k: Int, _ a: [Float], _ b: [Float]) -> [Float] {
    var c = [Float](repeating: 1, count: m * n)
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          multiply(Product(transposeB: true, m: m, n: n, k: k, a: a, lda: k, b: b, ldb: k, beta: 1, c: c, ldc: n))
        }
      }
    }
    return c
  }

  @Test(arguments: sizes) func productsAreRightAndTheSameForAnyThreads(_ m: Int, _ n: Int, _ k: Int) throws {
    let (a, b) = (noise(m * k, seed: 1), noise(n * k, seed: 2))
    var results: [[Float]] = []
    withThreadCounts { _ in results.append(computed(m, n, k, a, b)) }
    #expect(results[0] == results[1])
    // A few elements of each row and column against sums in float64; the scale is that of random signs.
    var worst = 0.0
    for step in 0..<(m + n) {
      let (row, column) = (step * 7 % m, step * 13 % n)
      var sum = 1.0
      for l in 0..<k { sum += Double(a[row * k + l]) * Double(b[column * k + l]) }
      worst = max(worst, abs(Double(results[0][row * n + column]) - sum))
    }
    #expect(worst < 1e-6 * Double(k).squareRoot(), "\(m) x \(n) x \(k)")
  }

  /// Long sums of few elements are cut, so that several threads have work.
  @Test func longSumsAreShared() {
    #expect(Cut(64, 128, 9216).depth > 1)
    #expect(Cut(3072, 1536, 384).depth == 1)
    #expect(Cut(128, 512, 784).tiles > 1)
    #expect(Cut(1, 1, 1).tiles == 1)
  }
}
