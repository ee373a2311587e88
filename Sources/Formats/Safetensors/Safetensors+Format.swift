import Checkpoint

extension Format {
  /// A safetensors file: names and tensors.
  static let safetensors = Format(
    kind: .safetensors, id: "safetensors", name: "safetensors file",
    recognises: { SafetensorsFile.recognises($0.bytes, fileSize: $0.size) },
    read: { (path, _) throws(CheckpointError) in
      let checkpoint = try SafetensorsFile.read(path)
      return Opened(checkpoint: checkpoint, version: nil, producer: nil, bytes: try FileStart(path).size)
    },
    write: { (root, path, options) throws(CheckpointError) in try SafetensorsFile.write(root, to: path, options) },
    verify: { (path) throws(CheckpointError) in
      var report = VerifyReport()
      var digest: String?
      report.problems = try VerifyReport.problem { () throws(CheckpointError) in
        digest = try SafetensorsFile.check(path)
      }
      report.checked = ["header", "tensors cover the file exactly"]
      if let digest { report.checked.append("content digest \(digest)") }
      if digest == nil, report.isSound { report.warnings = ["the file records no checksums"] }
      return report
    },
    limits:
      "nothing; programs that do not know 'ckpt.training' see names and tensors alone, and types that safetensors "
      + "lacks (complex128, quantised, below a byte) as others of the same bytes")
}
