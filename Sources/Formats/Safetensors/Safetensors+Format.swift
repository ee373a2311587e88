import Checkpoint

extension Format {
  /// A safetensors file: names and tensors.
  static let safetensors = Format(
    kind: .safetensors, id: "safetensors", name: "safetensors file",
    recognises: { SafetensorsFile.recognises($0.bytes, fileSize: $0.size) },
    read: { (path, _) throws(CheckpointError) in
      Opened(
        checkpoint: try SafetensorsFile.read(path), version: nil, producer: nil, bytes: try FileStart(path).size)
    },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      var report = VerifyReport()
      report.problems = try VerifyReport.problem { () throws(CheckpointError) in _ = try SafetensorsFile.read(path) }
      report.checked = ["header", "tensors cover the file exactly"]
      report.warnings = ["safetensors files record no checksums"]
      return report
    })
}
