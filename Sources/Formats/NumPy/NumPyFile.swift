public import Checkpoint

/// NumPy's files: an array (`.npy`, versions 1 to 3) and zip archives of arrays (`.npz`, stored or deflated).
public enum NumPyFile {
  /// Whether a file that starts with these bytes may be one: an array, or a zip archive (which may be anything else).
  public static func recognises(_ prefix: some Collection<UInt8>) -> Bool {
    isArray(prefix) || prefix.starts(with: [0x50, 0x4B, 0x03, 0x04])
      || prefix.starts(with: [0x50, 0x4B, 0x05, 0x06])
  }

  /// Whether a file that starts with these bytes is one array.
  static func isArray(_ prefix: some Collection<UInt8>) -> Bool { prefix.starts(with: NumPyHeader.magic) }

  /// Whether a file is an archive whose first record is an array. Of an empty archive nobody can tell.
  public static func isArchive(_ start: FileStart) -> Bool { start.firstZipName?.hasSuffix(".npy") ?? false }

  /// Reads the tree: a tensor for `.npy`; for `.npz` a dict from names (without `.npy`) to tensors, in file order, or
  /// the whole checkpoint that ckpt wrote (`ckpt.training`).
  ///
  /// Tensors are row-major and little-endian whatever the file has. Their bytes stay in the mapped file until they are
  /// asked for; of deflated records no more than the header is inflated. Text, times and tables in an archive are left
  /// out with a warning.
  ///
  /// - Parameter verifies: check a record's CRC-32 when its bytes are read.
  /// - Throws: `damaged` for what the format does not allow, `unsupported` for arrays of objects and of types that
  ///   no tensor has; all errors name the file and the array.
  public static func read(_ path: String, verifies: Bool = true) throws(CheckpointError) -> Checkpoint {
    let file = try MappedFile(path)
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      if isArray(file.bytes) { return try array(file) }
      let archive = try NumPyArchive(open(file), verifies: verifies)
      guard let rest = archive.rest else { return archive.plain }
      do throws(CheckpointError) {
        var checkpoint = try archive.whole(rest)
        checkpoint.warnings += archive.warnings
        return checkpoint
      } catch {
        var plain = archive.plain
        plain.warnings.append(FlatTree.warning(error))
        return plain
      }
    } catch {
      throw error.inFile(path)
    }
  }

  private static func open(_ file: MappedFile) throws(CheckpointError) -> ZipArchive {
    guard recognises(file.bytes.prefix(4)) else {
      throw CheckpointError(
        .unsupported, file.count == 0 ? "the file is empty" : "is neither an .npy array nor an .npz archive")
    }
    return try ZipArchive(file, naming: .any)
  }

  private static func array(_ file: MappedFile) throws(CheckpointError) -> Checkpoint {
    let header = try NumPyHeader(file.bytes)
    let range = try header.dataRange(fileSize: file.count)
    let tensor = try header.tensor(MappedRange(file, range: range))
    return Checkpoint(
      root: .tensor(tensor),
      warnings: header.element.warning(of: "the array") + trailing(file.count - range.upperBound, "the array"))
  }

  static func trailing(_ count: Int, _ what: String) -> [String] {
    count > 0 ? ["\(count) bytes follow \(what); they are not read"] : []
  }

  /// Checks all that can be checked: the archive's structure, each record's CRC-32, every header against the size of
  /// what follows, and the content digest of a whole checkpoint.
  ///
  /// - Throws: `missing`, `inputOutput`.
  static func verify(_ path: String) throws(CheckpointError) -> VerifyReport {
    let file = try MappedFile(path)
    var report = VerifyReport()
    if isArray(file.bytes) || file.count == 0 {
      report.problems = try VerifyReport.problem(at: "file", namesFile: false) { () throws(CheckpointError) in
        report.warnings = try read(path).warnings
      }
      report.checked = ["header", "size"]
      if report.isSound { report.warnings.append(".npy files record no checksums") }
      return report
    }
    report.problems += try VerifyReport.problem(at: "file", namesFile: false) { () throws(CheckpointError) in
      let zip = try open(file)
      report.checked.append("structure: \(zip.entries.count) records, none overlapping")
      let problems = try checkRecords(zip)
      report.checked.append("CRC-32 of \(zip.entries.count) records")
      guard problems.isEmpty else { return report.problems += problems }
      let archive = try NumPyArchive(zip, verifies: false)
      report.checked.append("header and size of every array")
      report.warnings += archive.warnings
      guard let rest = archive.rest else { return }
      do throws(CheckpointError) {
        let whole = try archive.whole(rest)
        try whole.checkContent()
        if let digest = whole.recordedDigest { report.checked.append("content digest \(digest)") }
      } catch {
        throw error.at(FlatCheckpoint.key)
      }
    }
    return report
  }

  private static func checkRecords(_ zip: ZipArchive) throws(CheckpointError) -> [VerifyReport.Problem] {
    var problems: [VerifyReport.Problem] = []
    for record in zip.entries {
      problems += try VerifyReport.problem(at: zip.place(of: record), namesFile: false) { () throws(CheckpointError) in
        try zip.source(record, verify: true).forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
      }
    }
    return problems
  }
}
