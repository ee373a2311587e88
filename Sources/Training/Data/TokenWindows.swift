import Checkpoint
import Kernels

/// Windows of a text of tokens, which lie in the file or in memory as 8-bit or 16-bit numbers.
struct TokenWindows {
  let count: Int
  let context: Int
  /// The largest token that occurs.
  let largest: Int
  private let width: Int
  private let source: any ByteSource
  private let place: DataPlace

  /// - Parameter width: bytes of a token: 1 or 2, little-endian.
  /// - Throws: `damaged` when the text is shorter than a window and the token after it.
  init(_ source: any ByteSource, width: Int, context: Int, place: DataPlace) throws(CheckpointError) {
    guard context >= 1 else { throw CheckpointError(.usage, "a context of \(context) tokens; at least 1 is due") }
    (self.source, self.width, self.context, self.place) = (source, width, context, place)
    count = source.byteCount / width
    guard count > context else {
      throw place.error(
        .damaged, "holds \(count) tokens; a context of \(context) needs at least \(context + 1)",
        advice: "Take a longer text or a smaller context.")
    }
    var most: UInt32 = 0
    try source.forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in
      if let start = piece.baseAddress { most = max(most, ck_largest_token(start, width, piece.count / width)) }
    }
    largest = Int(most)
  }

  /// How many consecutive windows there are.
  var windows: Int { (count - 1) / context }

  var info: SampleInfo { SampleInfo(shape: [context], dtype: .int64, range: 0...largest) }

  /// The windows that begin at `starts`, and what comes a token later.
  func batch(_ starts: [Int]) throws(CheckpointError) -> Batch {
    guard ck_first_outside(starts, starts.count, count - context) < 0 else {
      throw place.error(
        .usage, "a window of \(context) tokens can begin at 0..<\(count - context), not at \(starts)")
    }
    let byteCount = starts.count * context * 8
    let (inputs, targets) = (try Storage(byteCount: byteCount), try Storage(byteCount: byteCount))
    try source.withBytes { (bytes) throws(CheckpointError) in
      guard let base = bytes.baseAddress else { return }
      ck_gather_windows(inputs.integers, targets.integers, base, width, context, starts, starts.count)
    }
    let shape = [starts.count, context]
    return Batch(
      inputs: Variable(shape: shape, dtype: .int64, storage: inputs),
      targets: Variable(shape: shape, dtype: .int64, storage: targets), samples: starts.count)
  }

  /// - Throws: `damaged` when a token does not fit a vocabulary of so many.
  func check(vocabulary: Int) throws(CheckpointError) {
    guard largest >= vocabulary else { return }
    throw place.error(
      .damaged, "tokens must be in 0..<\(vocabulary); the largest is \(largest)",
      advice: "The model's vocabulary must have at least \(largest + 1) entries.")
  }
}
