public import Checkpoint

/// Windows of a text of tokens: what `TextDataset` and `TokenDataset` have in common.
///
/// A window is named by where it begins. Inputs are `[windows, context]`, targets the same one token later, both int64.
public class WindowDataset: Dataset {
  private let windows: TokenWindows

  init(_ windows: TokenWindows) { self.windows = windows }

  /// Tokens in the set, and of a window.
  public final var tokenCount: Int { windows.count }
  public final var context: Int { windows.context }
  /// The least vocabulary that has all tokens: the largest one, and one.
  public var vocabularySize: Int { windows.largest + 1 }

  /// How many windows follow one another.
  public final var count: Int { windows.windows }
  public final var inputInfo: SampleInfo? { windows.info }
  public final var targetInfo: SampleInfo? { windows.info }

  /// The windows that begin at these tokens.
  public final func batch(_ samples: [Int]) throws(CheckpointError) -> Batch { try windows.batch(samples) }

  public final func sampler(batch: Int, shuffle: Bool, seed: UInt64) throws(CheckpointError) -> Sampler {
    try Sampler(tokens: tokenCount, context: context, batch: batch, shuffle: shuffle, seed: seed)
  }

  /// Checks that a model with so many tokens knows all of these.
  ///
  /// - Throws: `damaged` naming the largest.
  public final func checkTokens(vocabulary: Int) throws(CheckpointError) { try windows.check(vocabulary: vocabulary) }
}
