public import Checkpoint

/// Windows of a file of tokens as nanoGPT prepares them: little-endian 16-bit numbers, nothing else.
///
/// A window is named by where it begins. Inputs are `[windows, context]`, targets the same one token later, both int64.
/// The file stays mapped; it is looked at once, when the set is made, for its largest token.
public final class TokenDataset: Dataset {
  private let windows: TokenWindows

  /// - Throws: `damaged` for a file of an odd length, or one that is too short for a window.
  public init(_ path: String, context: Int) throws(CheckpointError) {
    let file = try MappedFile(path)
    let place = DataPlace(file: path, place: nil)
    guard file.count % 2 == 0 else {
      throw place.error(
        .damaged, "\(file.count) bytes, an odd number; tokens take two each",
        advice: "The file may have been cut short, or its tokens are of another width.")
    }
    windows = try TokenWindows(
      MappedRange(file, range: 0..<file.count), width: 2, context: context, place: place)
  }

  /// Tokens in the set, and of a window.
  public var tokenCount: Int { windows.count }
  public var context: Int { windows.context }
  /// The least vocabulary that has all tokens: the largest one, and one.
  public var vocabularySize: Int { windows.largest + 1 }

  /// How many windows follow one another.
  public var count: Int { windows.windows }
  public var inputInfo: SampleInfo? { windows.info }
  public var targetInfo: SampleInfo? { windows.info }

  /// The windows that begin at these tokens.
  public func batch(_ samples: [Int]) throws(CheckpointError) -> Batch { try windows.batch(samples) }

  public func sampler(batch: Int, shuffle: Bool, seed: UInt64) throws(CheckpointError) -> Sampler {
    try Sampler(tokens: tokenCount, context: context, batch: batch, shuffle: shuffle, seed: seed)
  }

  /// Checks that a model with so many tokens knows all of these.
  ///
  /// - Throws: `damaged` naming the largest.
  public func checkTokens(vocabulary: Int) throws(CheckpointError) { try windows.check(vocabulary: vocabulary) }
}
