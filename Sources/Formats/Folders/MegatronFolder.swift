import Checkpoint

extension Format {
  /// A run's folder of Megatron-LM, or one iteration of it.
  static let megatronFolder = Format.folder(
    kind: .pt, id: "megatron", name: "Megatron checkpoint",
    recognises: { start in
      start.hasEntry(MegatronFolder.tracker) || start.hasEntry("mp_rank_00/\(MegatronFolder.file)")
        || start.hasEntry("mp_rank_00_000/\(MegatronFolder.file)")
    },
    read: MegatronFolder.read)
}

/// The tree is that of the file `mp_rank_00/model_optim_rng.pt`, or of the iteration's distributed checkpoint.
enum MegatronFolder {
  /// Names the newest iteration.
  static let tracker = "latest_checkpointed_iteration.txt"
  static let file = "model_optim_rng.pt"

  static func read(_ path: String, _ options: Format.ReadOptions) throws(CheckpointError) -> Format.Opened {
    let folder = try PartsFolder(path)
    guard folder.has(tracker) else { return try rank(of: folder, options) }
    let name = try iteration(folder)
    guard folder.has(name) else {
      throw CheckpointError(
        .damaged, "\(tracker) names '\(name)', which is not there", file: path,
        advice: "The save was not finished; name the folder of an iteration before it.")
    }
    try folder.checkBelow(name)
    let inner = try PartsFolder("\(path)/\(name)")
    guard inner.has(".metadata") else { return try rank(of: inner, options) }
    return try Format.dcp.read(inner.path, options)
  }

  /// `iter_0000100` for `100`; `release` is a word of its own.
  private static func iteration(_ folder: PartsFolder) throws(CheckpointError) -> String {
    let file = try folder.map(tracker)
    defer { withExtendedLifetime(file) {} }
    let text = String(decoding: file.bytes.prefix(64).filter { $0 > 0x20 }, as: UTF8.self)
    if text == "release" { return text }
    guard let number = UInt32(text) else {
      throw CheckpointError(.damaged, "'\(text)' is no iteration", file: file.path)
    }
    let digits = String(number)
    return "iter_" + String(repeating: "0", count: max(7 - digits.utf8.count, 0)) + digits
  }

  /// The only rank's file.
  private static func rank(of folder: PartsFolder, _ options: Format.ReadOptions) throws(CheckpointError)
    -> Format.Opened
  {
    let ranks = folder.names.filter { $0.hasPrefix("mp_rank_") }
    guard let only = ranks.first else {
      throw CheckpointError(.damaged, "an iteration without mp_rank_00", file: folder.path)
    }
    guard ranks.count == 1 else {
      throw CheckpointError(
        .unsupported, "the model is split over \(ranks.count) ranks (\(ranks.prefix(4).joined(separator: ", "))…)",
        file: folder.path,
        advice:
          "How it is split, only Megatron knows: save it with --ckpt-format torch_dist, or convert each rank's file.")
    }
    try folder.checkBelow(only)
    var parts = try FolderParts("\(folder.path)/\(only)", options)
    let root = try parts.checkpoint(file)
    return Format.Opened(
      checkpoint: Checkpoint(root: root, warnings: parts.result().warnings), version: nil, producer: nil,
      bytes: parts.bytes)
  }
}
