public import Checkpoint

/// Windows of a file of tokens as nanoGPT prepares them: little-endian 16-bit numbers, nothing else.
///
/// The file stays mapped; it is looked at once, when the set is made, for its largest token.
public final class TokenDataset: WindowDataset {
  /// - Throws: `damaged` for a file of an odd length, or one that is too short for a window.
  public init(_ path: String, context: Int) throws(CheckpointError) {
    let file = try MappedFile(path)
    let place = DataPlace(file: path, place: nil)
    guard file.count % 2 == 0 else {
      throw place.error(
        .damaged, "\(file.count) bytes, an odd number; tokens take two each",
        advice: "The file may have been cut short, or its tokens are of another width.")
    }
    super.init(
      try TokenWindows(MappedRange(file, range: 0..<file.count), width: 2, context: context, place: place))
  }
}
