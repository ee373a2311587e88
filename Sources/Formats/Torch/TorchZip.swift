public import Checkpoint

/// PyTorch's zip checkpoints (`torch.save` since 1.6; facts from PyTorch 2.13).
public enum TorchZip {
  public struct ReadOptions: Sendable {
    /// Check the CRC-32 of each record when its bytes are read. torch itself never does.
    public var verifyChecksums: Bool
    /// Take what is there of a file that was cut short or damaged. Tensors whose bytes are gone stay in the tree, and
    /// reading them throws; `Salvage` takes them out.
    public var salvages: Bool

    public init(verifyChecksums: Bool = true, salvages: Bool = false) {
      self.verifyChecksums = verifyChecksums
      self.salvages = salvages
    }
  }

  /// Whether a file that starts with these bytes may be one: torch looks at the first four.
  public static func recognises(_ prefix: some Collection<UInt8>) -> Bool {
    prefix.prefix(4).elementsEqual([0x50, 0x4B, 0x03, 0x04])
  }

  /// Reads the tree. Tensors' bytes stay in the mapped file until they are asked for.
  ///
  /// - Throws: `damaged` for what the format does not allow, `unsupported` for archives of other kinds; all errors
  ///   name the file and the place in it.
  public static func read(_ path: String, options: ReadOptions = ReadOptions()) throws(CheckpointError) -> Checkpoint {
    try TorchArchive(path, verify: options.verifyChecksums, salvages: options.salvages).read()
  }
}
