import Checkpoint

extension Format {
  /// A safetensors file: names and tensors.
  static let safetensors = Format(
    kind: .safetensors, id: "safetensors", name: "safetensors file",
    recognises: { SafetensorsFile.recognises($0.bytes, fileSize: $0.size) },
    read: { (path, _) throws(CheckpointError) in
      var checkpoint = try SafetensorsFile.read(path)
      // Also where there is none: it tells that the names are in no module's order.
      if case .dict(var dict) = checkpoint.root, dict.attributes.isEmpty {
        dict.attributes = [Record.Field("__metadata__", .dict(Dict()))]
        checkpoint.root = .dict(dict)
      }
      return Opened(checkpoint: checkpoint, version: nil, producer: nil, bytes: try FileStart(path).size)
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
