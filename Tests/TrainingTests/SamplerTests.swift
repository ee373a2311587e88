import Checkpoint
import Testing

@testable import Training

@Suite struct SamplerTests {
  @Test(arguments: [1, 3, 7, 10, 64], [true, false]) func anEpochTakesEverySampleOnce(batch: Int, shuffle: Bool) throws
  {
    var sampler = try Sampler(count: 23, batch: batch, shuffle: shuffle, seed: 5)
    var orders: [[Int]] = []
    for _ in 0..<3 {
      var order: [Int] = []
      for _ in 0..<sampler.batchesPerEpoch { order += sampler.next() }
      #expect(order.sorted() == Array(0..<23))
      orders.append(order)
    }
    #expect(shuffle == (orders[0] != orders[1]))
    if !shuffle { #expect(orders[0] == Array(0..<23)) }
  }

  @Test func itsStateContinuesItAnywhere() throws {
    var whole = try Sampler(count: 23, batch: 4, shuffle: true, seed: 9)
    let expected = (0..<20).map { _ in whole.next() }
    for stop in 0...20 {
      var first = try Sampler(count: 23, batch: 4, shuffle: true, seed: 9)
      var found = (0..<stop).map { _ in first.next() }
      var second = try Sampler(state: first.state)
      found += (stop..<20).map { _ in second.next() }
      #expect(found == expected, "stopped after \(stop)")
    }
  }

  @Test func anotherSeedGivesAnotherOrder() throws {
    var one = try Sampler(count: 100, batch: 100, shuffle: true, seed: 1)
    var two = try Sampler(count: 100, batch: 100, shuffle: true, seed: 2)
    #expect(one.next() != two.next())
  }

  @Test func windowsLieInTheText() throws {
    var sampler = try Sampler(tokens: 50, context: 8, batch: 4, shuffle: true, seed: 3)
    for _ in 0..<100 { #expect(sampler.next().allSatisfy { 0...41 ~= $0 }) }
  }
}
