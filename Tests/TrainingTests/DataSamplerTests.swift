import Checkpoint
import Testing

@testable import Training

@Suite struct DataSamplerTests {
  /// A line of `orders.tsv`: what a Philox in Python gave.
  struct Order: Sendable, CustomStringConvertible {
    let kind: String
    let count, context, batch: Int
    let seed: UInt64
    let epoch: Int
    let expected: [Int]

    var description: String { "\(kind) \(count) seed \(seed) epoch \(epoch)" }

    static let all: [Order] = {
      guard let file = try? MappedFile(dataFixture("orders.tsv")) else { return [] }
      let text = withExtendedLifetime(file) { String(decoding: file.bytes, as: UTF8.self) }
      return text.split(separator: "\n").map { line in
        let f = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        return Order(
          kind: f[0], count: Int(f[1]) ?? 0, context: Int(f[2]) ?? 0, batch: Int(f[3]) ?? 64,
          seed: UInt64(f[4]) ?? 0, epoch: Int(f[5]) ?? 0, expected: f[6].split(separator: ",").compactMap { Int($0) })
      }
    }()

    func sampler() throws -> Sampler {
      try kind == "windows"
        ? Sampler(tokens: count, context: context, batch: batch, shuffle: true, seed: seed)
        : Sampler(count: count, batch: batch, shuffle: true, seed: seed)
    }
  }

  /// RUN-10, RUN-11, RUN-12.
  @Test(arguments: Order.all) func ordersAreThoseOfTheirDescription(_ order: Order) throws {
    var sampler = try order.sampler()
    try sampler.move(epoch: order.epoch, batchInEpoch: 0)
    var found: [Int] = []
    while sampler.epoch == order.epoch { found += sampler.next() }
    #expect(Array(found.prefix(1200)) == order.expected)
    #expect(!order.expected.isEmpty)
  }

  @Test func ordersAreThere() { #expect(Order.all.count == 10) }

  @Test(arguments: [1, 2, 5, 64, 100], [1, 3, 64, 1000])
  func anEpochHasEachSampleOnce(_ count: Int, _ batch: Int) throws {
    for shuffle in [true, false] {
      var sampler = try Sampler(count: count, batch: batch, shuffle: shuffle, seed: 7)
      #expect(sampler.batch == min(batch, count))
      var orders: [[Int]] = []
      for epoch in 0..<3 {
        var seen: [Int] = []
        for index in 0..<sampler.batchesPerEpoch {
          #expect(sampler.epoch == epoch && sampler.batchInEpoch == index)
          let samples = sampler.next()
          let isLast = index == sampler.batchesPerEpoch - 1
          #expect(samples.count == (isLast ? count - index * sampler.batch : sampler.batch))
          seen += samples
        }
        #expect(seen.sorted() == Array(0..<count))
        orders.append(seen)
      }
      if !shuffle { #expect(orders[0] == Array(0..<count)) }
      if shuffle, count >= 64 { #expect(orders[0] != orders[1] && orders[1] != orders[2]) }
    }
  }

  @Test func everyPlaceIsAboutAsLikely() throws {
    var counts = Array(repeating: Array(repeating: 0, count: 4), count: 4)
    for seed in 0..<4000 {
      var sampler = try Sampler(count: 4, batch: 4, shuffle: true, seed: UInt64(seed))
      for (place, sample) in sampler.next().enumerated() { counts[place][sample] += 1 }
    }
    for row in counts { for count in row { #expect((850...1150).contains(count), "\(counts)") } }
  }

  private static let kinds = ["shuffled", "in order", "random windows", "windows in order"]

  private func sampler(_ kind: String) throws -> Sampler {
    let shuffle = kind == "shuffled" || kind == "random windows"
    return try kind.contains("windows")
      ? Sampler(tokens: 100, context: 7, batch: 4, shuffle: shuffle, seed: 3)
      : Sampler(count: 23, batch: 5, shuffle: shuffle, seed: 3)
  }

  /// RUN-9.
  @Test(arguments: kinds) func resumesAtEveryPosition(_ kind: String) throws {
    var sampler = try sampler(kind)
    var states: [Value] = []
    var batches: [[Int]] = []
    for _ in 0..<20 {
      states.append(sampler.state)
      batches.append(sampler.next())
    }
    for (index, state) in states.enumerated() {
      var resumed = try Sampler(state: state)
      for batch in batches[index...] { #expect(resumed.next() == batch) }
      // Into one that stands elsewhere, and has an order of another epoch.
      var other = try self.sampler(kind)
      for _ in 0..<7 { _ = other.next() }
      try other.restore(state)
      for batch in batches[index...] { #expect(other.next() == batch) }
      var sought = try self.sampler(kind)
      try sought.seek(afterBatches: index)
      #expect(sought.next() == batches[index])
    }
  }

  @Test func samplersAreValues() throws {
    var a = try sampler("shuffled")
    var b = a
    _ = a.next()
    #expect(b.batchInEpoch == 0)
    #expect(try b.next() == sampler("shuffled").copyNext())
  }

  /// RUN-11.
  @Test func windowsInOrderCoverTheText() throws {
    var sampler = try Sampler(tokens: 100, context: 7, batch: 4, shuffle: false, seed: 0)
    #expect(sampler.count == 14)
    #expect(sampler.batchesPerEpoch == 4)
    var starts: [Int] = []
    while sampler.epoch == 0 { starts += sampler.next() }
    #expect(starts == (0..<14).map { $0 * 7 })
    #expect(sampler.next() == [0, 7, 14, 21])
  }

  @Test func randomWindowsStayInsideAndReachBothEnds() throws {
    var sampler = try Sampler(tokens: 20, context: 4, batch: 3, shuffle: true, seed: 1)
    var seen: Set<Int> = []
    for _ in 0..<400 {
      let starts = sampler.next()
      #expect(starts.count == 3)
      seen.formUnion(starts)
    }
    #expect(seen == Set(0..<16))
  }

  @Test func aDatasetKnowsItsOrder() throws {
    let tokens = try TokenDataset(dataFixture("tokens.bin"), context: 8)
    var sampler = try tokens.sampler(batch: 5, shuffle: true, seed: 1337)
    let order = try #require(Order.all.first { $0.kind == "windows" && $0.seed == 1337 && $0.epoch == 0 })
    #expect(sampler.next() == Array(order.expected.prefix(5)))
    #expect(try tokens.batch(sampler.next()).inputs.shape == [5, 8])
    let set = try ArrayDataset(file: dataFixture("set.npz"), inputs: "x", targets: "labels")
    #expect(try set.sampler(batch: 100, shuffle: false, seed: 0).batchesPerEpoch == 1)
  }

  @Test func progressCountsEpochs() throws {
    var sampler = try Sampler(count: 10, batch: 4, shuffle: true, seed: 0)
    for _ in 0..<4 { _ = sampler.next() }
    #expect(sampler.progress == 1 + 1.0 / 3)
  }

  @Test func seedsBeyond63BitsAreKept() throws {
    let sampler = try Sampler(count: 10, batch: 4, shuffle: true, seed: .max)
    #expect(try Sampler(state: sampler.state).seed == .max)
  }

  @Test func impossibleOrdersAreRefused() throws {
    #expect(throws: CheckpointError.self) { _ = try Sampler(count: 0, batch: 1, shuffle: true, seed: 0) }
    #expect(throws: CheckpointError.self) { _ = try Sampler(count: 5, batch: 0, shuffle: true, seed: 0) }
    #expect(throws: CheckpointError.self) { _ = try Sampler(count: 1 << 40, batch: 1, shuffle: true, seed: 0) }
    #expect(throws: CheckpointError.self) { _ = try Sampler(tokens: 8, context: 8, batch: 1, shuffle: true, seed: 0) }
    #expect(throws: CheckpointError.self) { _ = try Sampler(tokens: 8, context: 0, batch: 1, shuffle: true, seed: 0) }
  }

  /// Each entry of a state is left out, or replaced by what it cannot be.
  @Test(arguments: kinds) func damagedStatesAreRefused(_ kind: String) throws {
    guard case .dict(let good) = try sampler(kind).state else { return #expect(Bool(false)) }
    let wrong: [Value] = [.none, .int(-1), .int(1 << 40), .int(.max), .string("x"), .double(1), .bool(true)]
    for index in good.entries.indices {
      var cut = good
      cut.entries.remove(at: index)
      #expect(throws: CheckpointError.self) { _ = try Sampler(state: .dict(cut)) }
      for value in wrong {
        var changed = good
        changed.entries[index].value = value
        guard let taken = try? Sampler(state: .dict(changed)) else { continue }
        // Another seed, shuffling, number of samples or epoch is a state of its own.
        let key = good.entries[index].key
        #expect(
          ["seed", "shuffle", "count", "epoch", "context"].map { Key.string($0) }.contains(key), "\(key) \(value)")
        #expect(taken.batchInEpoch < taken.batchesPerEpoch)
      }
    }
    #expect(throws: CheckpointError.self) { _ = try Sampler(state: .int(3)) }
  }

  @Test func anotherSetOrOrderIsToldApart() throws {
    var sampler = try Sampler(count: 23, batch: 5, shuffle: true, seed: 3)
    let others = [
      try Sampler(count: 24, batch: 5, shuffle: true, seed: 3),
      try Sampler(count: 23, batch: 6, shuffle: true, seed: 3),
      try Sampler(count: 23, batch: 5, shuffle: false, seed: 3),
      try Sampler(count: 23, batch: 5, shuffle: true, seed: 4),
      try Sampler(tokens: 24, context: 1, batch: 5, shuffle: true, seed: 3),
    ]
    let words = [
      "the number of samples was 24 and is 23", "the batch was 6 and is 5", "shuffle was false and is true",
      "the seed was 4 and is 3", "the number of tokens was 24 and is 0",
    ]
    for (other, word) in zip(others, words) {
      let error = #expect(throws: CheckpointError.self) { try sampler.restore(other.state) }
      #expect(error?.code == .usage)
      #expect(error?.message.contains(word) == true, "\(String(describing: error))")
    }
  }
}

extension Sampler {
  fileprivate func copyNext() -> [Int] {
    var copy = self
    return copy.next()
  }
}
