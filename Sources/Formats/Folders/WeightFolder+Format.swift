import Checkpoint

extension Format {
  /// A folder with a model's weights, in one file or in several with an index; or that index itself.
  static let weightFolder = Format.folder(
    kind: .safetensors, id: "safetensors-sharded", name: "folder of weights",
    recognises: { start in
      guard start.isFolder else { return WeightFolder.isIndex(start) }
      return (try? PartsFolder(start.path)).flatMap { WeightFiles(in: $0) } != nil
    },
    read: WeightFolder.read)
}

enum WeightFolder {
  /// Whether a file is the index of others: its names are never looked at.
  static func isIndex(_ start: FileStart) -> Bool {
    guard !start.isFolder, let first = start.bytes.first(where: { $0 > 0x20 }) else { return false }
    return first == UInt8(ascii: "{") && start.contains("\"weight_map\"")
  }

  static func read(_ path: String, _ options: Format.ReadOptions) throws(CheckpointError) -> Format.Opened {
    let isFolder = try FileStart(path).isFolder
    var parts = try FolderParts(isFolder ? path : parentFolder(of: path), options)
    let files = isFolder ? WeightFiles(in: parts.folder) : .index(lastComponent(of: path))
    guard let files else {
      throw CheckpointError(.unsupported, "a folder without weights that are known here", file: path)
    }
    let root = try files.read(&parts)
    let warnings = isFolder ? parts.result().warnings : parts.warnings
    return Format.Opened(
      checkpoint: Checkpoint(root: root, warnings: warnings, recordedDigest: parts.recordedDigest), version: nil,
      producer: nil, bytes: parts.bytes)
  }
}
