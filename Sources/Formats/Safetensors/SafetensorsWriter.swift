import Checkpoint

/// Writes one safetensors file.
struct SafetensorsWriter {
  let file: SafetensorsPlan.File
  let options: Format.WriteOptions

  /// Writes everything into a temporary file beside `path`; it gets its name with `commit`.
  func write(to path: String) throws(CheckpointError) -> OutputFile {
    let layout = try SafetensorsLayout(file)
    let output = try OutputFile(path, replaces: options.replaces)
    try output.reserve(layout.end)
    var writer = ParallelWriter()
    writer.progress = options.progress
    let header = WriteJob(source: BufferSource(layout.header), offset: 0)
    _ = try writer.write(layout.jobs, to: output)
    writer.progress = nil
    _ = try writer.write([header], to: output)
    try output.truncate(layout.end)
    return output
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
    let plan = try SafetensorsPlan(root, isSet: false, leavesRest: options.weightsAlone)
    try SafetensorsWriter(file: plan.file, options: options).write(to: path).commit()
    return Format.Written(contentDigest: nil, warnings: plan.warnings)
  }
}
