import Checkpoint

/// One safetensors file on its way: tensors first, then the header, which may tell their digest.
struct SafetensorsWriter {
  /// It gets its name with `commit`.
  let output: OutputFile

  /// Writes the tensors into a temporary file beside `path`.
  init(_ file: SafetensorsPlan.File, to path: String, _ options: Format.WriteOptions) throws(CheckpointError) {
    let layout = try SafetensorsLayout(file)
    output = try OutputFile(path, replaces: options.replaces)
    try output.reserve(layout.end)
    var writer = ParallelWriter()
    writer.progress = options.progress
    _ = try writer.write(layout.jobs, to: output)
    try output.truncate(layout.end)
  }

  /// - Parameter file: as it was given before; what its text says may have changed, and not how long it is.
  func writeHeader(_ file: SafetensorsPlan.File) throws(CheckpointError) {
    let header = WriteJob(source: BufferSource(try SafetensorsLayout(file).header), offset: 0)
    _ = try ParallelWriter().write([header], to: output)
  }
}

extension SafetensorsFile {
  /// Writes a tree, in one file or in a set of them.
  ///
  /// - Throws: `cannotCreate`, `inputOutput`, `usage` for an index without a size to split by, and what a tensor's
  ///   source throws.
  static func write(
    _ root: Value, to path: String, _ options: Format.WriteOptions
  ) throws(CheckpointError) -> Format.Written {
    if let limit = options.maximumShardSize {
      return try SafetensorsSet(path, limit: limit, options).write(root)
    }
    guard !path.hasSuffix(SafetensorsSet.indexSuffix) else {
      throw CheckpointError(
        .usage, "an index belongs to a set of files", file: path,
        advice: "Say how large each may be: --max-shard-size 5GB.")
    }
    let plan = try SafetensorsPlan(root, leavesRest: options.weightsAlone)
    try write(plan, to: path, options)
    return Format.Written(contentDigest: nil, warnings: plan.warnings)
  }

  static func write(
    _ plan: SafetensorsPlan, to path: String, _ options: Format.WriteOptions
  ) throws(CheckpointError) {
    var plan = plan
    let writer = try SafetensorsWriter(plan.file, to: path, options)
    try plan.takeDigest()
    try writer.writeHeader(plan.file)
    try writer.output.commit()
  }
}
