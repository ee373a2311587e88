import Checkpoint

/// One file's bytes, as the package gguf lays them out: everything in its order, each tensor padded with zeros.
struct GGUFLayout {
  let header: [UInt8]
  let jobs: [WriteJob]
  /// The file's size.
  let end: Int

  /// - Throws: `unsupported` for what would be too large.
  init(_ plan: GGUFPlan) throws(CheckpointError) {
    var bytes = GGUF.magic + littleEndian(GGUF.version)
    bytes += littleEndian(UInt64(plan.items.count)) + littleEndian(UInt64(plan.pairs.count))
    for (key, value) in plan.pairs {
      bytes += littleEndian(UInt64(key.utf8.count)) + Array(key.utf8)
      bytes += littleEndian(value.type.rawValue)
      bytes += value.bytes
    }
    var offsets: [Int] = []
    var offset = 0
    for item in plan.items {
      bytes += littleEndian(UInt64(item.name.utf8.count)) + Array(item.name.utf8)
      bytes += littleEndian(UInt32(item.shape.count))
      for size in item.shape.reversed() { bytes += littleEndian(UInt64(size)) }
      bytes += littleEndian(item.type.code) + littleEndian(UInt64(offset))
      offsets.append(offset)
      offset = try Self.padded(offset, item.source.byteCount, plan.alignment)
    }
    header = bytes
    // As in llama.cpp's vocabularies, nothing follows where there are no tensors.
    let start = plan.items.isEmpty ? bytes.count : try Self.padded(bytes.count, 0, plan.alignment)
    jobs = zip(plan.items, offsets).map { WriteJob(source: $0.source, offset: start + $1) }
    end = start + offset
  }

  private static func padded(_ offset: Int, _ count: Int, _ alignment: Int) throws(CheckpointError) -> Int {
    let (sum, overflow) = offset.addingReportingOverflow(count)
    guard !overflow, let end = GGUF.aligned(sum, alignment), end < Int.max / 2 else {
      throw CheckpointError(.unsupported, "the file would be too large")
    }
    return end
  }
}

extension GGUFFile {
  /// Writes a tree that `read` gave as the file that it was, and any other one as names, tensors and text, from which
  /// `read` makes the equal tree.
  ///
  /// - Throws: `cannotCreate`, `inputOutput`, and what a tensor's source throws.
  static func write(
    _ root: Value, to path: String, _ options: Format.WriteOptions
  ) throws(CheckpointError) -> Format.Written {
    var plan = try GGUFPlan(root, weightsAlone: options.weightsAlone)
    let layout = try GGUFLayout(plan)
    let output = try OutputFile(path, replaces: options.replaces)
    try output.reserve(layout.end)
    var writer = ParallelWriter()
    writer.progress = options.progress
    _ = try writer.write(layout.jobs, to: output)
    try plan.takeDigest()
    let header = WriteJob(source: BufferSource(try GGUFLayout(plan).header), offset: 0)
    writer.progress = nil
    _ = try writer.write([header], to: output)
    try output.truncate(layout.end)
    try output.commit()
    return Format.Written(contentDigest: nil, warnings: plan.warnings)
  }
}
