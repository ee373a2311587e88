public import Checkpoint

/// One format that files are read or written in: what recognises it, and what it can do.
///
/// A format is one folder with an `extension Format` in it, and one line in `Format.all`.
public struct Format: Sendable {
  public struct ReadOptions: Sendable {
    /// Hold what is read against the file's checksums, as its bytes are read. Digests are `CheckedSource`'s matter.
    public var verifies = true
    /// Take what is there of a damaged file, where the format can; see `Salvage`.
    public var salvages = false
    /// Decode block-quantised tensors to float32, in formats that have them, instead of keeping the blocks.
    public var dequantizes = false
    /// Whose kernels the tree is to have, where the file has another framework's; nil keeps them as they are.
    public var layout: KernelLayout?

    public init() {}
  }

  public struct WriteOptions: Sendable {
    /// Replace a file that is there already.
    public var replaces = false
    /// The algorithm of the digests that the format records, where it does.
    public var digest = Digest.Algorithm.xxh3
    /// How many files the tensors are spread over, in formats that have several; at least 1.
    public var shards = 1
    /// The most bytes that one file of a set takes, in formats that split by size; nil for one file.
    public var maximumShardSize: Int?
    /// Write names and tensors as other programs do, without what makes a whole checkpoint of them, in formats where that
    /// lies beside them.
    public var weightsAlone = false
    /// Whose kernels and names the file is to have, where the format knows more than one; nil keeps them as they are.
    public var layout: KernelLayout?
    /// Give optimizers the form in which each parameter has its options for itself, where the format has one.
    public var flattensOptimizers = false
    /// Told how many more bytes are written; called from several threads.
    public var progress: (@Sendable (Int) -> Void)?

    public init() {}
  }

  /// Whose way of storing kernels: PyTorch's `[out, in]` and `[out, in, height, width]`, Keras' `[in, out]` and
  /// `[height, width, in, out]`.
  public enum KernelLayout: String, Sendable, CaseIterable {
    case torch, keras
  }

  /// A file that was read, and what it says of itself.
  public struct Opened: Sendable {
    public var checkpoint: Checkpoint
    public var version: String?
    public var producer: String?
    /// Bytes of the file, or of all files of a set.
    public var bytes: Int
  }

  public struct Written: Sendable {
    /// The digest of what was written, where the format's writer took it.
    public var contentDigest: Digest?
    public var warnings: [String]
    /// Bytes of all files that were written, where there is not one file, or folder, of the output's name.
    public var bytes: Int?
    /// The file to name when the output is read, where that is not the output's name: a set's index.
    public var path: String?
  }

  public typealias Recogniser = @Sendable (FileStart) -> Bool
  public typealias Reader = @Sendable (String, ReadOptions) throws(CheckpointError) -> Opened
  public typealias Writer = @Sendable (Value, String, WriteOptions) throws(CheckpointError) -> Written
  public typealias Verifier = @Sendable (String) throws(CheckpointError) -> VerifyReport

  public let kind: FormatKind
  /// `torch-zip` and the like: the word in JSON, which is narrower than the kind.
  public let id: String
  /// What a person calls it.
  public let name: String
  /// Whether a file is of this format, damaged or not, by its content.
  public let recognises: Recogniser
  public let read: Reader
  /// Nil for a format that is only read.
  public let write: Writer?
  public let verify: Verifier
  /// What of a checkpoint the format cannot hold, in a few words; empty where it holds everything.
  public var limits = ""
}

extension Format {
  /// All formats, in the order in which they are asked whether a file is theirs.
  public static let all: [Format] = [
    .native, .kerasLegacy, .kerasArchive, .kerasWeights,
    .torchScript, .torchZip, .torchLegacy, .torchTar, .safetensors, .dcp, .dcpSafetensors,
    .trainerFolder, .accelerateFolder, .deepSpeedUniversal, .deepSpeed, .megatronFolder, .weightFolder,
    .gguf, .npz, .npy, .onnx,
    // Last: pickles of protocols 0 and 1 have nothing at their start that is theirs alone.
    .pickle,
  ]

  /// The kinds that can be read, each once: several formats may be of one kind.
  public static var readableKinds: [FormatKind] {
    FormatKind.allCases.filter { kind in all.contains { $0.kind == kind } }
  }

  /// The format of an input: what the user says it is, or what its content says.
  ///
  /// - Throws: `missing`, `inputOutput`; `unsupported` for what is recognised but not read, and for what is not known.
  public static func input(_ path: String, kind: FormatKind? = nil) throws(CheckpointError) -> Format {
    let start = try FileStart(path)
    if let kind {
      let known = all.filter { $0.kind == kind }
      guard let first = known.first else { throw UnsupportedFormat.error(for: kind).inFile(path) }
      return known.first { $0.recognises(start) } ?? first
    }
    return try input(start)
  }

  /// The format that a file's content says.
  public static func input(_ start: FileStart) throws(CheckpointError) -> Format {
    if let format = all.first(where: { $0.recognises(start) }) { return format }
    throw UnsupportedFormat.error(for: start)
  }

  /// The format of an output: what the user asks for, or what the name's ending says.
  ///
  /// - Throws: `usage` when neither names a format that can be written.
  public static func output(_ path: String, kind: FormatKind? = nil) throws(CheckpointError) -> Format {
    let writable = all.filter { $0.write != nil }
    let words = writable.map(\.kind.rawValue).joined(separator: ", ")
    guard let kind = kind ?? FormatKind(suffixOf: path) else {
      throw CheckpointError(
        .usage, "the name's ending says no format", file: path,
        advice: "End it in .h5, .pt or .safetensors, or say which format with --to: \(words).")
    }
    guard let format = writable.first(where: { $0.kind == kind }) else {
      throw CheckpointError(
        .usage, "\(kind.rawValue) files are only read", file: path,
        advice: "These can be written: \(writable.map(\.kind.rawValue).joined(separator: ", ")).")
    }
    return format
  }
}
