import Checkpoint

extension Format {
  /// `torch.save` since PyTorch 1.6.
  static let torchZip = Format(
    kind: .pt, id: "torch-zip", name: "PyTorch checkpoint",
    recognises: { start in
      guard TorchZip.recognises(start.bytes), let first = start.firstZipName else { return false }
      // Archives of NumPy and Keras have other records; whatever else a zip holds, torch's reader tells.
      return !first.hasSuffix(".npy") && !["metadata.json", "config.json", "model.weights.h5"].contains(first)
    },
    read: { (path, options) throws(CheckpointError) in
      let archive = try TorchArchive(path, verify: options.verifies, salvages: options.salvages)
      return Opened(
        checkpoint: try archive.read(), version: archive.versionText, producer: nil, bytes: archive.zip.file.count)
    },
    write: { (root, path, options) throws(CheckpointError) in
      let warnings = try TorchZip.write(
        root, to: path, options: TorchZip.WriteOptions(replaces: options.replaces, progress: options.progress))
      return Written(contentDigest: nil, warnings: warnings)
    },
    verify: { (path) throws(CheckpointError) in
      let found = try TorchZip.verify(path)
      var report = VerifyReport()
      report.checked = found.checked
      report.problems = found.problems.map { VerifyReport.Problem($0.place, $0.message) }
      report.warnings = found.warnings
      return report
    },
    limits: "whole modules, sparse wrappers and objects that weights_only=True refuses: written as state dicts, dicts, "
      + "lists and numbers")
}

extension TorchArchive {
  /// The archive's version, which was checked when it was opened: `3` in all that torch writes today.
  fileprivate var versionText: String? {
    for name in ["version", ".data/version"] {
      guard let entry = zip.entry(name), entry.size <= 64 else { continue }
      var text = ""
      try? zip.source(entry, verify: false).withBytes { (bytes) throws(CheckpointError) in
        text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
      }
      if !text.isEmpty { return text }
    }
    return nil
  }
}
