public import Checkpoint

/// The native format: a checkpoint in an HDF5 file (`spec/`, version 1.0).
public enum NativeFormat {
  /// How a file is written.
  public struct WriteOptions: Sendable {
    /// Whether an existing file may be replaced.
    public var replaces = false
    /// The algorithm of the content digest, and of the tensors' digests that it covers.
    public var digest = Digest.Algorithm.xxh3
    /// Wait until the file is on the disk. Leave it out only in a measurement.
    public var synced = true
    public var threads = defaultThreads
    /// Who wrote the file. Part of the file, not of the content.
    public var producer = "ckpt"
    /// Told how many more bytes of tensors are written; called from several threads.
    public var progress: (@Sendable (Int) -> Void)?

    public init() {}
  }

  /// What was written.
  public struct Written: Sendable {
    public var contentDigest: Digest
    /// What a user should know: an optimizer that is stored without names, a parameter whose name was not found.
    public var warnings: [String]
  }

  /// Writes a tree to `path`: whole or not at all.
  ///
  /// - Throws: `cannotCreate` when `path` exists and may not be replaced, `inputOutput` for a full disk,
  ///   `unsupported` for a tree deeper than 64 levels; what the tensors' sources throw.
  @discardableResult
  public static func write(
    _ root: Value, to path: String, options: WriteOptions = WriteOptions()
  ) throws(CheckpointError) -> Written {
    do throws(CheckpointError) {
      return try NativeWriter(root, path: path, options: options).write()
    } catch {
      throw error.inFile(path)
    }
  }
}
