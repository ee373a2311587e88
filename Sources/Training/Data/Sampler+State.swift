public import Checkpoint

extension Sampler {
  /// Everything that says what comes next, as a checkpoint keeps it: a dict of `order` (how samples are ordered, with a
  /// version), `seed`, `count` (samples, or tokens), `context` (of windows alone), `batch`, `shuffle`, `epoch` and
  /// `batch_in_epoch` (the next batch's, from 0).
  public var state: Value {
    var entries = [
      Dict.Entry(.string("order"), .string(orderName)),
      Dict.Entry(.string("seed"), Self.value(seed)),
      Dict.Entry(.string("count"), .int(Int64(windows?.tokens ?? count))),
    ]
    if let windows { entries.append(Dict.Entry(.string("context"), .int(Int64(windows.context)))) }
    entries += [
      Dict.Entry(.string("batch"), .int(Int64(batch))), Dict.Entry(.string("shuffle"), .bool(shuffle)),
      Dict.Entry(.string("epoch"), .int(Int64(epoch))),
      Dict.Entry(.string("batch_in_epoch"), .int(Int64(batchInEpoch))),
    ]
    return .dict(Dict(entries))
  }

  private var orderName: String { windows == nil ? Self.samplesName : Self.windowsName }
  private static let samplesName = "samples/1"
  private static let windowsName = "windows/1"

  private static func value(_ seed: UInt64) -> Value {
    Int64(exactly: seed).map(Value.int) ?? BigInt(decimal: String(seed)).map(Value.bigInt) ?? .none
  }

  /// A sampler as it was when its state was taken.
  ///
  /// - Throws: `damaged` when the state is not one that `state` gives.
  public init(state: Value) throws(CheckpointError) {
    guard case .dict(let dict) = state else { throw Self.damaged("is no dict") }
    guard case .string(let order)? = dict["order"] else { throw Self.damaged("has no 'order'") }
    guard order == Self.samplesName || order == Self.windowsName else {
      throw CheckpointError(
        .unsupported, "the data position is of an order '\(order)', which is not known here",
        advice: "A newer version wrote it; update ckpt.")
    }
    guard case .bool(let shuffle)? = dict["shuffle"] else { throw Self.damaged("has no 'shuffle' (a bool)") }
    let seed = try Self.seed(dict["seed"])
    let count = try Self.int(dict, "count")
    let batch = try Self.int(dict, "batch")
    do throws(CheckpointError) {
      if order == Self.windowsName {
        let context = try Self.int(dict, "context")
        try self.init(tokens: count, context: context, batch: batch, shuffle: shuffle, seed: seed)
      } else {
        try self.init(count: count, batch: batch, shuffle: shuffle, seed: seed)
      }
      guard self.batch == batch else { throw Self.damaged("has a batch of \(batch) of \(self.count)") }
      try move(epoch: Self.int(dict, "epoch"), batchInEpoch: Self.int(dict, "batch_in_epoch"))
    } catch {
      throw error.code == .usage ? Self.damaged(error.message) : error
    }
  }

  /// Goes to the position of a state that was taken with the same data, batch, seed and shuffling.
  ///
  /// - Throws: `damaged` as `init(state:)`; `usage` when the state is of other data or another order, saying what
  ///   differs. The sampler is then as it was.
  public mutating func restore(_ state: Value) throws(CheckpointError) {
    let stored = try Sampler(state: state)
    var differences: [String] = []
    func compare<Item: Equatable>(_ name: String, _ old: Item, _ new: Item) {
      if old != new { differences.append("\(name) was \(old) and is \(new)") }
    }
    if stored.windows != nil || windows != nil {
      compare("the number of tokens", stored.windows?.tokens ?? 0, windows?.tokens ?? 0)
      compare("the context", stored.windows?.context ?? 0, windows?.context ?? 0)
    } else {
      compare("the number of samples", stored.count, count)
    }
    compare("the batch", stored.batch, batch)
    compare("shuffle", stored.shuffle, shuffle)
    compare("the seed", stored.seed, seed)
    guard differences.isEmpty else {
      throw CheckpointError(
        .usage, "the data position cannot be taken up: \(differences.joined(separator: "; "))",
        advice: "Resume with the data and the settings that the run began with.")
    }
    try move(epoch: stored.epoch, batchInEpoch: stored.batchInEpoch)
  }

  private static func seed(_ value: Value?) throws(CheckpointError) -> UInt64 {
    switch value {
    case .int(let seed)? where seed >= 0: return UInt64(seed)
    case .bigInt(let seed)?:
      if let seed = UInt64(seed.description) { return seed }
    default: break
    }
    throw damaged("has no 'seed' (an integer of 64 bits)")
  }

  private static func int(_ dict: Dict, _ name: String) throws(CheckpointError) -> Int {
    guard case .int(let number)? = dict[name] else { throw damaged("has no '\(name)' (an integer)") }
    return Int(number)
  }

  private static func damaged(_ what: String) -> CheckpointError {
    CheckpointError(.damaged, "the data position: \(what)")
  }
}
