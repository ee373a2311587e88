import Checkpoint

extension Format {
  /// A format of folders that are only read; to verify one is to read all of it.
  static func folder(
    kind: FormatKind, id: String, name: String, recognises: @escaping Recogniser, read: @escaping Reader
  ) -> Format {
    Format(
      kind: kind, id: id, name: name, recognises: recognises, read: read, write: nil,
      verify: { (path) throws(CheckpointError) in try FolderVerification.run(path, read) })
  }
}

/// Checks a folder of several files: reads all of it, with every checksum that its files record.
enum FolderVerification {
  static func run(
    _ path: String, _ read: Format.Reader
  ) throws(CheckpointError) -> VerifyReport {
    var report = VerifyReport()
    report.problems = try VerifyReport.problem { () throws(CheckpointError) in
      let opened = try read(path, Format.ReadOptions())
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
      try opened.checkpoint.checkContent()
      if let digest = opened.checkpoint.recordedDigest { report.checked = ["content digest \(digest)"] }
    }
    report.checked += [
      "structure of each file, and what they say of each other",
      "every tensor's bytes, and the CRC-32 that .pt files record",
    ]
    return report
  }
}
