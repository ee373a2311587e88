import Checkpoint

extension Format {
  /// `torch.distributed.checkpoint`: a folder of `.metadata` and `__<rank>_<n>.distcp`.
  static let dcp = Format(
    kind: .dcp, id: "dcp", name: "distributed checkpoint",
    recognises: { start in
      guard start.isFolder, let names = PartsFolder.names(in: start.path) else { return false }
      if names.contains(where: { $0.hasSuffix(".distcp") }) || !DCPCheckpoint.rankFiles(in: names).isEmpty {
        return true
      }
      // Without shards the name alone says little: it must be a pickle at least.
      return names.contains(".metadata") && (try? FileStart(start.path + "/.metadata"))?.bytes.first == 0x80
    },
    read: { (path, options) throws(CheckpointError) in
      var opened = try DCPCheckpoint(path, verify: options.verifies)
      var root = try opened.read()
      try opened.addCommon(to: &root)
      return Opened(
        checkpoint: Checkpoint(root: root, warnings: opened.warnings), version: opened.metadata.version, producer: nil,
        bytes: opened.bytes)
    },
    write: { (root, path, options) throws(CheckpointError) in try DCPWriter.write(root, to: path, options) },
    verify: { (path) throws(CheckpointError) in try DCPVerification.run(path) },
    limits: "ties, the attributes of dicts (_metadata), keys that are no text, tuples")

  /// The same with safetensors files: `HuggingFaceStorageWriter`.
  static let dcpSafetensors = Format(
    kind: .dcp, id: "dcp-safetensors", name: "distributed checkpoint in safetensors files",
    recognises: { $0.isFolder && SafetensorsParts.place(in: $0.path) != nil },
    read: { (path, _) throws(CheckpointError) in
      let parts = try SafetensorsParts(SafetensorsParts.place(in: path) ?? path)
      return Opened(checkpoint: Checkpoint(root: try parts.root()), version: nil, producer: nil, bytes: parts.bytes)
    },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      var report = VerifyReport()
      report.problems = try VerifyReport.problem { () throws(CheckpointError) in
        _ = try SafetensorsParts(SafetensorsParts.place(in: path) ?? path).root()
      }
      report.checked = ["structure of each file", "parts of each tensor: all there, none twice"]
      report.warnings = [
        "safetensors files record no checksums",
        "nothing says how large the whole tensors are: if the last ranks' files are missing, it does not show",
      ]
      return report
    })
}
