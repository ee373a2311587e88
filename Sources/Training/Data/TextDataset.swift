public import Checkpoint
internal import Kernels

/// Windows of a plain text, by characters or by bytes.
public final class TextDataset: WindowDataset {
  /// What a token is.
  public enum Tokens: Sendable {
    /// A Unicode scalar: its place among those that the text has, sorted, as nanoGPT's character sets have it. Line
    /// ends are kept as they are.
    case characters
    /// A byte: 256 tokens.
    case bytes
  }

  /// The character of each token; empty for bytes.
  public let vocabulary: [Unicode.Scalar]

  /// - Parameters:
  ///   - vocabulary: the characters to use, as a set made before has them; nil takes those of the text.
  /// - Throws: `damaged` for what is not UTF-8, for a character that is not in the given vocabulary, naming the line, and
  ///   for a text that is too short for a window.
  public init(
    _ path: String, tokens: Tokens, context: Int, vocabulary: [Unicode.Scalar]? = nil
  ) throws(CheckpointError) {
    let file = try MappedFile(path)
    let place = DataPlace(file: path, place: nil)
    defer { withExtendedLifetime(file) {} }
    switch tokens {
    case .bytes:
      self.vocabulary = []
      super.init(
        try TokenWindows(MappedRange(file, range: 0..<file.count), width: 1, context: context, place: place))
    case .characters:
      let text: CharacterText
      do throws(CheckpointError) {
        text = try CharacterText(file.bytes, vocabulary: vocabulary)
      } catch {
        throw error.inFile(path)
      }
      self.vocabulary = text.vocabulary
      super.init(
        try TokenWindows(BufferSource(elements: text.tokens), width: 2, context: context, place: place))
    }
  }

  /// How many tokens there are to tell apart: the characters of the vocabulary, or 256.
  public override var vocabularySize: Int { vocabulary.isEmpty ? 256 : vocabulary.count }

  /// The text of tokens; what is none is U+FFFD.
  public func decode(_ tokens: [Int]) -> String {
    guard !vocabulary.isEmpty else {
      return String(decoding: tokens.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
    }
    var text = ""
    for token in tokens {
      text.unicodeScalars.append(vocabulary.indices.contains(token) ? vocabulary[token] : "\u{FFFD}")
    }
    return text
  }
}

/// A text as numbers of its characters.
private struct CharacterText {
  let vocabulary: [Unicode.Scalar]
  let tokens: [UInt16]

  private static let codePoints = 0x11_0000

  init(_ bytes: UnsafeRawBufferPointer, vocabulary given: [Unicode.Scalar]?) throws(CheckpointError) {
    guard let start = bytes.baseAddress, bytes.count > 0 else {
      throw CheckpointError(.damaged, "the file is empty")
    }
    var seen = [UInt8](repeating: 0, count: Self.codePoints)
    let count = ck_mark_characters(start, bytes.count, &seen)
    guard count >= 0 else {
      throw CheckpointError(
        .damaged, "is not UTF-8", place: "byte \(-1 - count)", advice: "Convert it, or take tokens: bytes.")
    }
    let own = seen.indices.filter { seen[$0] != 0 }.compactMap { Unicode.Scalar(UInt32($0)) }
    let vocabulary: [Unicode.Scalar] = given ?? own
    guard vocabulary.count <= 1 << 16 else {
      throw CheckpointError(.unsupported, "\(vocabulary.count) different characters; at most 65536 are supported")
    }
    self.vocabulary = vocabulary
    var table = [UInt32](repeating: 0, count: Self.codePoints)
    for (token, scalar) in vocabulary.enumerated() { table[Int(scalar.value)] = UInt32(token) + 1 }
    var unknown = -1
    tokens = [UInt16](unsafeUninitializedCapacity: count) { out, size in
      unknown = ck_encode_characters(start, bytes.count, table, out.baseAddress)
      size = unknown < 0 ? count : 0
    }
    if unknown >= 0 { throw Self.stranger(bytes, unknown) }
  }

  private static func stranger(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> CheckpointError {
    var (line, left) = (1, index)
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      if left == 0 {
        let shown = scalar.value < 0x20 ? "" : " '\(scalar)'"
        let code = String(scalar.value, radix: 16, uppercase: true)
        return CheckpointError(
          .damaged, "the character U+\(code)\(shown) is not in the vocabulary", place: "line \(line)",
          advice: "The training text has no such character; leave it out, or take tokens: bytes.")
      }
      left -= 1
      if scalar == "\n" { line += 1 }
    }
    return CheckpointError(.damaged, "a character is not in the vocabulary")
  }
}
