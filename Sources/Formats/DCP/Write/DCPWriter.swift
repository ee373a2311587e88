import Checkpoint

/// Writes a folder that `torch.distributed.checkpoint.load` reads on any number of ranks.
enum DCPWriter {
  /// - Throws: `cannotCreate`, `inputOutput`, `unsupported` for a tree that is no dict, and what a tensor's source throws.
  static func write(
    _ root: Value, to path: String, _ options: Format.WriteOptions
  ) throws(CheckpointError) -> Format.Written {
    let flat = try DCPFlattening(root, flattensOptimizers: options.flattensOptimizers)
    let plan = try DCPPlan(flat.leaves, files: options.shards)
    let folder = try OutputFolder(path, replaces: options.replaces) { isPart($0) }
    try write(plan, in: folder, options.progress)
    let metadata = DCPMetadataPickle.bytes(flat.leaves, plan, name: fileName)
    let file = try OutputFile("\(folder.temporaryPath)/.metadata", replaces: false)
    try file.write(metadata, at: 0)
    try file.commit(syncingFolder: false)
    try folder.commit()
    return Format.Written(contentDigest: nil, warnings: flat.warnings + plan.warnings)
  }

  static func fileName(_ file: Int) -> String { "__\(file)_0.distcp" }

  /// Whether a file of this name is part of a distributed checkpoint.
  static func isPart(_ name: String) -> Bool {
    name.hasSuffix(".distcp") || name == ".metadata" || name == ".metadata.tmp"
      || (name.hasPrefix("__") && (name.hasSuffix(".metadata") || name.hasSuffix(".metadata.tmp")))
  }

  private static func write(
    _ plan: DCPPlan, in folder: OutputFolder, _ progress: (@Sendable (Int) -> Void)?
  ) throws(CheckpointError) {
    var files: [OutputFile?] = []
    for (index, size) in plan.sizes.enumerated() {
      guard size > 0 else {
        files.append(nil)
        continue
      }
      let file = try OutputFile("\(folder.temporaryPath)/\(fileName(index))", replaces: false)
      try file.reserve(size)
      files.append(file)
    }
    let opened = files
    let sums = try parallelMap(count: plan.jobs.count) { (index) throws(CheckpointError) in
      try write(plan.jobs[index], plan.pieces, opened, progress)
    }
    var crcs = plan.pieces.map { Array(repeating: UInt32(0), count: $0.layout.records.count) }
    for (job, sums) in zip(plan.jobs, sums) {
      for (target, sum) in zip(job.targets, sums) { crcs[target.piece][target.record] = sum }
    }
    for (piece, crcs) in zip(plan.pieces, crcs) {
      if let file = files[piece.file] { try write(piece, crcs, file) }
    }
    _ = try parallelMap(count: opened.count) { (index) throws(CheckpointError) in
      try opened[index]?.truncate(plan.sizes[index])
      // The folder is synced once, when all are there.
      try opened[index]?.commit(syncingFolder: false)
    }
  }

  /// Streams a source once, and cuts its bytes into the payloads they belong to.
  ///
  /// - Returns: the CRC-32 of each payload.
  private static func write(
    _ job: DCPPlan.Job, _ pieces: [DCPPlan.Piece], _ files: [OutputFile?], _ progress: (@Sendable (Int) -> Void)?
  ) throws(CheckpointError) -> [UInt32] {
    var sums = Array(repeating: UInt32(0), count: job.targets.count)
    var target = 0
    var position = 0
    try job.source.forEachPiece(limit: 8 << 20) { (bytes) throws(CheckpointError) in
      var rest = bytes
      while !rest.isEmpty {
        while target < job.targets.count, job.targets[target].range.upperBound <= position { target += 1 }
        guard target < job.targets.count else {
          throw CheckpointError(.damaged, "a tensor gives more bytes than it has")
        }
        let here = job.targets[target]
        let piece = pieces[here.piece]
        let part = UnsafeRawBufferPointer(rebasing: rest.prefix(here.range.upperBound - position))
        sums[target] = updatedCRC32(sums[target], part)
        let offset = piece.start + piece.layout.records[here.record].payload + position - here.range.lowerBound
        try files[piece.file]?.write(part, at: offset)
        progress?(part.count)
        position += part.count
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
      }
    }
    return sums
  }

  /// Writes all of an archive but the payloads that were streamed.
  private static func write(
    _ piece: DCPPlan.Piece, _ crcs: [UInt32], _ file: OutputFile
  ) throws(CheckpointError) {
    var sums = crcs
    for (index, content) in piece.contents.enumerated() {
      guard let content else { continue }
      content.withUnsafeBytes { sums[index] = updatedCRC32(0, $0) }
    }
    var run: [UInt8] = []
    var start = 0
    for (index, record) in piece.layout.records.enumerated() {
      run += piece.layout.localHeader(record, crc: sums[index])
      if let content = piece.contents[index] {
        run += content
        continue
      }
      try file.write(run, at: piece.start + start)
      start = record.payload + record.size
      run.removeAll(keepingCapacity: true)
    }
    try file.write(run + piece.layout.directory(crcs: sums), at: piece.start + start)
  }
}

extension OutputFile {
  func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    try BufferSource(bytes).withBytes { (buffer) throws(CheckpointError) in try write(buffer, at: offset) }
  }
}
