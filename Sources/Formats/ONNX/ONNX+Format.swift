import Checkpoint

extension Format {
  /// An ONNX model's tensors. Only read: a model is its graph first of all.
  static let onnx = Format(
    kind: .onnx, id: "onnx", name: "ONNX model",
    recognises: ONNXFile.recognises,
    read: { (path, _) throws(CheckpointError) in
      let (model, size) = try ONNXFile.read(path)
      return Opened(
        checkpoint: Checkpoint(root: model.root), version: model.version, producer: model.producer,
        bytes: size + model.folder.totalSize)
    },
    write: nil,
    verify: ONNXFile.verify)
}

/// ONNX models (IR versions 3 to 13): initializers, tensors in nodes' attributes, external data.
enum ONNXFile {
  /// No magic number exists: a protobuf message whose fields are those of a model, from the version of its format on.
  static func recognises(_ start: FileStart) -> Bool {
    guard start.bytes.count > 16, start.bytes[0] == 0x08, (1...0x7F).contains(start.bytes[1]) else { return false }
    return start.bytes.withUnsafeBytes { bytes in
      var reader = ProtobufReader(bytes, 0..<bytes.count)
      var place = 0
      while let field = try? reader.next() {
        guard isModel(field) else { return false }
        if field.number == 7 { return true }
        place = reader.offset
      }
      // A field that the beginning of the file has no room for: the graph, most likely.
      guard place > 0, place < bytes.count else { return false }
      return [0x32, 0x3A, 0x72].contains(bytes[place])
        || bytes[place...].starts(with: [0xA2, 0x01]) || bytes[place...].starts(with: [0xCA, 0x01])
    }
  }

  private static func isModel(_ field: ProtobufReader.Field) -> Bool {
    switch (field.number, field.content) {
    case (1, .varint), (5, .varint): true
    case (2, .bytes), (3, .bytes), (4, .bytes), (6, .bytes), (7, .bytes), (8, .bytes), (14, .bytes), (20, .bytes): true
    case (25, .bytes), (26, .bytes): true
    default: false
    }
  }

  /// - Throws: `damaged` for what is no model, names that come twice, sizes that do not fit, external data outside of the
  ///   model's folder; `unsupported` for unknown element types. All errors name the file and the tensor.
  static func read(_ path: String) throws(CheckpointError) -> (model: ONNXModel, size: Int) {
    let file = try MappedFile(path)
    defer { withExtendedLifetime(file) {} }
    do throws(CheckpointError) {
      guard file.count > 0 else { throw CheckpointError(.damaged, "the file is empty") }
      return (try ONNXModel(file), file.count)
    } catch {
      throw error.inFile(path)
    }
  }

  /// - Throws: `missing`, `inputOutput`.
  static func verify(_ path: String) throws(CheckpointError) -> VerifyReport {
    var report = VerifyReport()
    report.problems = try VerifyReport.problem(at: "file", namesFile: false) { () throws(CheckpointError) in
      let (model, _) = try read(path)
      report.checked = ["messages", "the bytes of every tensor against its shape"]
      // Numbers of variable length are looked at only when they are decoded.
      try model.root.forEachTensor(attributes: true) { (place, _, tensor) throws(CheckpointError) in
        guard tensor.source is ONNXNumbers else { return }
        do throws(CheckpointError) { try tensor.source.withBytes { _ throws(CheckpointError) in } } catch {
          throw error.at("tensor '\(place.text)'")
        }
      }
      if model.folder.fileCount > 0 { report.checked.append("\(model.folder.fileCount) files of external data") }
      let sums = try model.folder.checkSums()
      if !sums.isEmpty { report.checked.append("SHA-1 of \(listed(sums))") }
    }
    report.warnings = ["ONNX models record no checksums of the tensors in them"]
    return report
  }
}
