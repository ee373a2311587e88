import Checkpoint

/// Checks a distributed checkpoint: that every chunk of every tensor is there, once, and holds what it should.
enum DCPVerification {
  /// - Throws: `missing`, `inputOutput`; damage is what it returns.
  static func run(_ path: String) throws(CheckpointError) -> VerifyReport {
    var report = VerifyReport()
    var opened: DCPCheckpoint?
    var checked: [String] = []
    report.problems = try VerifyReport.problem { () throws(CheckpointError) in
      var checkpoint = try DCPCheckpoint(path, verify: true)
      checked.append("metadata: \(checkpoint.metadata.entries.count) entries")
      try checkpoint.openFiles()
      checked.append("bounds of all parts in \(checkpoint.files.count) files, none overlapping")
      opened = checkpoint
    }
    report.checked = checked
    guard var opened else { return report }
    try checkTensors(opened, &report)
    guard report.isSound else { return report }
    // The paths, and the values that are no tensors.
    report.problems = try VerifyReport.problem { () throws(CheckpointError) in _ = try opened.read() }
    report.checked.append("the tree and its values")
    report.warnings = opened.warnings
    return report
  }

  private static func checkTensors(_ opened: DCPCheckpoint, _ report: inout VerifyReport) throws(CheckpointError) {
    let entries = opened.metadata.entries
    let found = try parallelMap(count: entries.count) { (index) throws(CheckpointError) -> [VerifyReport.Problem] in
      let name = entries[index].name
      guard case .tensor(let item) = entries[index].item, !TorchTypes.isQuantized(item.dtype) else {
        return try VerifyReport.problem(at: name) { () throws(CheckpointError) in
          try checkValue(entries[index], opened)
        }
      }
      var found = try VerifyReport.problem(at: name) { () throws(CheckpointError) in try ChunkCover.check(item) }
      for chunk in item.chunks where !chunk.isEmpty {
        found += try VerifyReport.problem(at: name) { () throws(CheckpointError) in
          // The checksum is compared when the last byte has passed.
          try opened.source(of: chunk, item.dtype, name: name).forEachPiece(limit: 1 << 20) {
            _ throws(CheckpointError) in
          }
        }
      }
      return found
    }
    let chunks = entries.reduce(0) { if case .tensor(let item) = $1.item { $0 + item.chunks.count } else { $0 } }
    report.problems += found.flatMap { $0 }
    report.checked.append("\(chunks) chunks: all of each tensor there, once, with the CRC-32 they have recorded")
  }
}

extension DCPVerification {
  /// Reads a value with all tensors in it.
  private static func checkValue(_ entry: DCPMetadata.Entry, _ opened: DCPCheckpoint) throws(CheckpointError) {
    var opened = opened
    try opened.value(of: entry).forEachLeaf { (_, _, value) throws(CheckpointError) in
      guard case .tensor(let tensor) = value else { return }
      try tensor.source.forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
    }
  }
}
