import Checkpoint
import Kernels
import Testing

@testable import Training

/// Results have the same bits whatever the number of threads. Serialised: the number is one for the process.
@Suite(.serialized) struct ThreadTests {
  /// All gradients of a step of a GPT with dropout.
  private func gradients() throws -> [[Float]] {
    let generator = Generator(seed: 2)
    let model = try GPT(
      layers: 2, heads: 4, width: 48, context: 80, vocab: 90, dropout: 0.2, generator: generator)
    model.use(generator)
    let bits = Generator(seed: 6).bits(5 * 80)
    let tokens = try Variable(bits.map { Int64($0 % 90) }, shape: [5, 80])
    try crossEntropy(model(tokens), tokens).backward()
    return try model.parameters().map { try #require($0.grad).values }
  }

  @Test func aStepGivesTheSameBits() throws {
    var results: [[[Float]]] = []
    try withThreadCounts { _ in results.append(try gradients()) }
    #expect(results[0] == results[1])
  }

  @Test func largeProductsGiveTheSameBits() throws {
    var results: [[Float]] = []
    try withThreadCounts { _ in
      let layer = try Linear(301, 517, generator: Generator(seed: 1))
      let input = try Variable.zeros([263, 301])
      input.fillNormal(0, 1, Generator(seed: 2))
      input.requiresGrad = true
      try gelu(layer(input)).sum().backward()
      results.append(try #require(input.grad).values + #require(layer.weight.grad).values)
    }
    #expect(results[0] == results[1])
  }

  @Test func everyIndexIsComputedOnce() {
    withThreadCounts { _ in
      for count in [0, 1, 2, 3, 17, 1000] {
        var hits = [Int32](repeating: 0, count: count)
        hits.withUnsafeMutableBufferPointer { buffer in
          ck_parallel(count, { $0?.assumingMemoryBound(to: Int32.self)[$1] += 1 }, buffer.baseAddress)
        }
        #expect(hits.allSatisfy { $0 == 1 })
      }
    }
  }

  @Test func manyCallersShareThePool() async {
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var hits = [Int32](repeating: 0, count: 300)
          for _ in 0..<200 {
            hits.withUnsafeMutableBufferPointer { buffer in
              ck_parallel(300, { $0?.assumingMemoryBound(to: Int32.self)[$1] += 1 }, buffer.baseAddress)
            }
          }
          return hits.allSatisfy { $0 == 200 }
        }
      }
      for await correct in group { #expect(correct) }
    }
  }

  @Test func blocksAreUsedAgainAndGivenBack() throws {
    for size in [0, 1, 64, 257, 4097, 3 << 20] {
      let block = try #require(ck_block_take(size))
      #expect(UInt(bitPattern: block) % 64 == 0)
      block.initializeMemory(as: UInt8.self, repeating: 7, count: size)
      ck_block_give(block, size)
    }
    #expect(Memory.idleBytes > 0)
    #expect(Memory.trim() > 0)
    #expect(ck_block_take(Int.max) == nil)
  }
}
