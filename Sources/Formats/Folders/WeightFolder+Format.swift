import Checkpoint

extension Format {
  /// A folder with a model's weights, in one file or in several with an index; or that index itself.
  static let weightFolder = Format(
    kind: .safetensors, id: "safetensors-sharded", name: "folder of weights",
    recognises: { start in
      guard start.isFolder else { return WeightFolder.isIndex(start) }
      return (try? PartsFolder(start.path)).flatMap { WeightFiles(in: $0) } != nil
    },
    read: { (path, options) throws(CheckpointError) in try WeightFolder.read(path, options) },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      try FolderVerification.run(path) { (options) throws(CheckpointError) in try WeightFolder.read(path, options) }
    })
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
      checkpoint: Checkpoint(root: root, warnings: warnings), version: nil, producer: nil, bytes: parts.bytes)
  }
}

/// Checks a folder of several files: reads all of it, with every checksum that its files record.
enum FolderVerification {
  static func run(
    _ path: String, read: (Format.ReadOptions) throws(CheckpointError) -> Format.Opened
  ) throws(CheckpointError) -> VerifyReport {
    var report = VerifyReport()
    report.problems = try VerifyReport.problem { () throws(CheckpointError) in
      let opened = try read(Format.ReadOptions())
      report.warnings = opened.checkpoint.warnings
      try opened.checkpoint.root.forEachLeaf { (_, text, value) throws(CheckpointError) in
        guard case .tensor(let tensor) = value else { return }
        do throws(CheckpointError) {
          // Checksums are compared when the last byte has passed.
          try tensor.source.forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
        } catch {
          throw error.place == nil ? error.at(text) : error
        }
      }
    }
    report.checked = [
      "structure of each file, and what they say of each other",
      "every tensor's bytes, and the CRC-32 that .pt files record",
    ]
    return report
  }
}
