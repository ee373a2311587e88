import Checkpoint

extension Format {
  /// A model of llama.cpp.
  static let gguf = Format(
    kind: .gguf, id: "gguf", name: "GGUF model",
    recognises: { GGUFFile.recognises($0) },
    read: { (path, options) throws(CheckpointError) in
      let set = try GGUFSet(path)
      return Opened(
        checkpoint: try set.checkpoint(dequantizes: options.dequantizes), version: set.version, producer: nil,
        bytes: set.bytes)
    },
    write: { (root, path, options) throws(CheckpointError) in try GGUFFile.write(root, to: path, options) },
    verify: { (path) throws(CheckpointError) in
      var report = VerifyReport()
      var digest: String?
      report.problems = try VerifyReport.problem { () throws(CheckpointError) in
        (report.warnings, digest) = try GGUFFile.check(path)
      }
      report.checked = ["header", "metadata", "each tensor's bytes lie in the file and belong to no other"]
      if let digest { report.checked.append("content digest \(digest)") }
      if digest == nil, report.isSound { report.warnings.append("GGUF files record no checksums") }
      return report
    },
    limits:
      "nothing; other programs see names, tensors and single values alone, tied tensors twice, and types that GGUF lacks "
      + "(unsigned, bool, complex, 8-bit floats; five dimensions and more) as others of the same bytes")
}
