public import Checkpoint

/// In which order samples are taken, and where in it a run is: a value that can be copied, saved and restored.
///
/// Everything follows from the seed and the position; nothing is drawn from a generator whose state could be lost.
///
/// **Samples.** An epoch takes each sample once, `batch` at a time; its last batch is short where the numbers do not
/// divide. Shuffled, the order of epoch e is the Fisher-Yates permutation of 0, 1, …, n-1: for i = n-1, n-2, …, 1 the
/// entries i and j are swapped, j being number n-1-i of the epoch's stream scaled to 0 ..< i+1. Else samples come in
/// file order, epoch after epoch.
///
/// **Windows** of `context` tokens (`init(tokens:…)`) are named by where they begin. There are w = (n-1) / context
/// consecutive ones, and an epoch has w / batch batches, rounded up. Unshuffled these are they, the last batch short
/// where the numbers do not divide. Shuffled, batch b of an epoch has the starts number b * batch to
/// (b+1) * batch - 1 of the epoch's stream, scaled to 0 ..< n - context: random places that may overlap, always `batch`
/// of them.
///
/// The streams are Philox 4x32-10: key = seed; counter = block number (64 bits), epoch (32 bits), 0x73616D70 for samples
/// or 0x77696E64 for windows; number n is the 64-bit half n mod 2 (words in order, the lower one first) of block n / 2;
/// a number w is scaled to 0 ..< k as floor(w * k / 2^64).
///
/// A batch larger than the set is the whole set.
public struct Sampler: Sendable {
  public let seed: UInt64
  public let shuffle: Bool
  /// Samples, or consecutive windows.
  public let count: Int
  /// Samples of a batch; the last one of an epoch may be short.
  public let batch: Int
  /// The set's tokens and the tokens of a window; nil for samples.
  public let windows: Windows?
  /// The epoch that the next batch belongs to, from 0, and its number in it.
  public private(set) var epoch = 0
  public private(set) var batchInEpoch = 0
  /// The order of `orderEpoch`: a part of no state, since it can be computed.
  private var order: [UInt32] = []
  private var orderEpoch = -1

  public struct Windows: Sendable, Equatable {
    public let tokens: Int
    public let context: Int

    /// How many consecutive windows there are, with a token after each.
    var count: Int { (tokens - 1) / context }
  }

  /// How many epochs a stream can tell apart.
  static let maximumEpoch = Int(UInt32.max)

  /// An order of samples.
  ///
  /// - Throws: `usage` for a batch or a count below 1, or more than 2^32 - 1 samples.
  public init(count: Int, batch: Int, shuffle: Bool, seed: UInt64) throws(CheckpointError) {
    try self.init(count, nil, batch, shuffle, seed)
  }

  /// An order of windows of `context` tokens in a text of `tokens`.
  ///
  /// - Throws: `usage` for a batch or context below 1, or a text that is shorter than a window and the token after it.
  public init(tokens: Int, context: Int, batch: Int, shuffle: Bool, seed: UInt64) throws(CheckpointError) {
    guard context >= 1, tokens > context else {
      throw CheckpointError(
        .usage, "a window of \(context) tokens and the one after it are more than the \(tokens) tokens of the set")
    }
    let windows = Windows(tokens: tokens, context: context)
    try self.init(windows.count, windows, batch, shuffle, seed)
  }

  private init(
    _ count: Int, _ windows: Windows?, _ batch: Int, _ shuffle: Bool, _ seed: UInt64
  ) throws(CheckpointError) {
    guard count >= 1 else { throw CheckpointError(.usage, "a data set without samples") }
    guard batch >= 1 else { throw CheckpointError(.usage, "a batch of \(batch) samples; at least 1 is due") }
    guard count <= UInt32.max || windows != nil else {
      throw CheckpointError(.usage, "\(count) samples; at most \(UInt32.max) are supported")
    }
    (self.count, self.windows, self.shuffle, self.seed) = (count, windows, shuffle, seed)
    self.batch = min(batch, count)
  }

  /// How many batches an epoch has.
  public var batchesPerEpoch: Int { (count - 1) / batch + 1 }

  /// How many epochs have been taken, with decimals.
  public var progress: Double { Double(epoch) + Double(batchInEpoch) / Double(batchesPerEpoch) }

  /// The samples of the next batch (of windows, where they begin); the position moves on.
  public mutating func next() -> [Int] {
    let first = batchInEpoch * batch
    let samples = indices(first..<min(first + batch, count))
    batchInEpoch += 1
    if batchInEpoch == batchesPerEpoch {
      batchInEpoch = 0
      epoch += 1
    }
    return samples
  }

  private mutating func indices(_ range: Range<Int>) -> [Int] {
    if let windows {
      guard shuffle else { return range.map { $0 * windows.context } }
      return Philox.starts(
        batch, from: range.lowerBound, below: windows.tokens - windows.context, seed: seed, epoch: epoch)
    }
    guard shuffle else { return Array(range) }
    if orderEpoch != epoch {
      order = Philox.permutation(count, seed: seed, epoch: epoch)
      orderEpoch = epoch
    }
    return [Int](unsafeUninitializedCapacity: range.count) { out, size in
      order.withUnsafeBufferPointer { order in
        for (place, index) in range.enumerated() { out[place] = Int(order[index]) }
      }
      size = range.count
    }
  }

  /// Moves to the batch that comes after `batches` from the very start.
  ///
  /// - Throws: `usage` for a negative number, or one beyond 2^32 - 1 epochs.
  public mutating func seek(afterBatches batches: Int) throws(CheckpointError) {
    try move(epoch: batches / batchesPerEpoch, batchInEpoch: batches % batchesPerEpoch)
  }

  mutating func move(epoch: Int, batchInEpoch: Int) throws(CheckpointError) {
    guard (0...Self.maximumEpoch).contains(epoch), (0..<batchesPerEpoch).contains(batchInEpoch) else {
      throw CheckpointError(
        .usage, "there is no batch \(batchInEpoch) of epoch \(epoch); an epoch has \(batchesPerEpoch) batches")
    }
    (self.epoch, self.batchInEpoch) = (epoch, batchInEpoch)
  }
}
