import Checkpoint

extension Format {
  /// Keras 1 and 2: models and weights as HDF5 files.
  static let kerasLegacy = Format(
    kind: .keras, id: "keras-h5", name: "Keras HDF5 file",
    recognises: { KerasRecognition.kind($0) == .legacy },
    read: { (path, options) throws(CheckpointError) in
      try opened(try KerasFile(path, form: .legacy), options)
    },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      try KerasVerification.report { () throws(CheckpointError) in try KerasFile(path, form: .legacy) }
    })

  /// Keras 3: the archive of a whole model.
  static let kerasArchive = Format(
    kind: .keras, id: "keras-archive", name: "Keras model",
    recognises: { KerasRecognition.isArchive($0) },
    read: { (path, options) throws(CheckpointError) in
      try opened(try KerasArchive.read(path, verify: options.verifies), options)
    },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      var report = try KerasVerification.report { () throws(CheckpointError) in
        try KerasArchive.read(path, verify: false)
      }
      guard report.isSound else { return report }
      report.problems += try KerasArchive.problems(path)
      report.checked.append("CRC-32 of the archive's records")
      report.warnings.removeAll { $0 == KerasVerification.noChecksums }
      return report
    })

  /// Keras 3: weights, in one file or in several with an index.
  static let kerasWeights = Format(
    kind: .kerasWeights, id: "keras-weights", name: "Keras weights",
    recognises: { KerasRecognition.isIndex($0) || KerasRecognition.kind($0) == .weights },
    read: { (path, options) throws(CheckpointError) in try opened(try kerasWeights(path), options) },
    write: { (root, path, options) throws(CheckpointError) in try KerasWriter.write(root, to: path, options) },
    verify: { (path) throws(CheckpointError) in
      try KerasVerification.report { () throws(CheckpointError) in try kerasWeights(path) }
    },
    limits:
      "nothing of Keras' weights; of other trees nothing either, but Keras loads them only with --layout keras, which "
      + "keeps dense, convolution, norm, embedding and recurrent layers with Adam's state")

  private static func kerasWeights(_ path: String) throws(CheckpointError) -> KerasFile {
    guard KerasRecognition.isIndex(try FileStart(path)) else { return try KerasFile(path, form: .weights) }
    return try KerasShards(path).read()
  }

  private static func opened(_ file: KerasFile, _ options: ReadOptions) throws(CheckpointError) -> Opened {
    if file.isFlat {
      return Opened(checkpoint: try file.flatCheckpoint(), version: nil, producer: nil, bytes: file.bytes)
    }
    var file = file
    if options.layout == .torch {
      return Opened(
        checkpoint: try KerasToTorch.convert(file), version: file.version,
        producer: file.version.map { "keras \($0)" }, bytes: file.bytes)
    }
    KerasSlots.mark(&file)
    return Opened(
      checkpoint: Checkpoint(root: .dict(KerasGroups.hoisted(file.root)), warnings: file.warnings),
      version: file.version,
      producer: file.version.map { "keras \($0)" }, bytes: file.bytes)
  }
}

enum KerasVerification {
  static let noChecksums = "Keras' HDF5 files record no checksums of their data"

  /// What reading a file tells: its structure, its links and sizes; and whether all compressed data can be had.
  static func report(
    _ read: () throws(CheckpointError) -> KerasFile
  ) throws(CheckpointError) -> VerifyReport {
    var report = VerifyReport()
    var file: KerasFile?
    report.problems = try VerifyReport.problem { () throws(CheckpointError) in file = try read() }
    guard let file else { return report }
    report.checked.append("structure: \(file.places.count) tensors, no link that leads elsewhere")
    report.problems += file.problems.map { VerifyReport.Problem("/", $0) }
    for place in file.places where place.tensor.source is ChunkedSource {
      report.problems += try VerifyReport.problem(at: "/" + place.path.joined(separator: "/")) {
        () throws(CheckpointError) in
        try place.tensor.source.forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
      }
    }
    report.checked.append("the bounds of every tensor, chunks")
    if file.isFlat {
      report.problems += try VerifyReport.problem { () throws(CheckpointError) in
        try file.flatCheckpoint().checkContent()
      }
      report.checked.append("content digest")
    }
    report.warnings = file.warnings.filter { !file.problems.contains($0) } + [noChecksums]
    return report
  }
}
