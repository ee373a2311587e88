public import Checkpoint

extension TorchZip {
  public struct WriteOptions: Sendable {
    /// Replace a file that is there already.
    public var replaces: Bool
    /// Wait until the bytes are on the disk. Leave it out only in a measurement.
    public var synced: Bool
    public var threads: Int
    /// Told how many more bytes are written; called from several threads.
    public var progress: (@Sendable (Int) -> Void)?

    public init(
      replaces: Bool = false, synced: Bool = true, threads: Int = defaultThreads,
      progress: (@Sendable (Int) -> Void)? = nil
    ) {
      self.replaces = replaces
      self.synced = synced
      self.threads = threads
      self.progress = progress
    }
  }

  /// Writes a file that `torch.load(weights_only=True)` and `mmap=True` take. The same tree and file name give the same
  /// bytes; a failure leaves what was at `path` as it was.
  ///
  /// - Returns: warnings, one for each part that had to be written in another form, with its path in the tree.
  /// - Throws: `cannotCreate`, `inputOutput`, and what a tensor's source throws.
  @discardableResult
  public static func write(
    _ root: Value, to path: String, options: WriteOptions = WriteOptions()
  ) throws(CheckpointError) -> [String] {
    let (pickle, storages, warnings) = try TorchPickler.pickle(root)
    let folder = topFolder(path)
    var sources: [(name: String, source: any ByteSource)] = [
      ("data.pkl", BufferSource(pickle)), ("byteorder", BufferSource(Array("little".utf8))),
    ]
    for (index, storage) in storages.enumerated() { sources.append(("data/\(index)", storage.source)) }
    sources.append(("version", BufferSource(Array("3\n".utf8))))

    var layout = ZipLayout()
    for (name, source) in sources { layout.add(name, folder: folder, size: source.byteCount) }
    try write(layout, sources.map(\.source), to: path, options)
    return warnings
  }

  private static func write(
    _ layout: ZipLayout, _ sources: [any ByteSource], to path: String, _ options: WriteOptions
  ) throws(CheckpointError) {
    let file = try OutputFile(path, replaces: options.replaces)
    try file.reserve(layout.end)
    var writer = ParallelWriter()
    writer.crc32 = true
    writer.threads = options.threads
    writer.progress = options.progress
    let jobs = zip(layout.records, sources).map { WriteJob(source: $1, offset: $0.payload) }
    let crcs = try writer.write(jobs, to: file).map(\.crc32)
    for (record, crc) in zip(layout.records, crcs) {
      try write(layout.localHeader(record, crc: crc), at: record.header, to: file)
    }
    let directory = layout.directory(crcs: crcs)
    try write(directory, at: layout.end, to: file)
    try file.truncate(layout.end + directory.count)
    try file.commit(synced: options.synced)
  }

  private static func write(_ bytes: [UInt8], at offset: Int, to file: OutputFile) throws(CheckpointError) {
    try BufferSource(bytes).withBytes { (buffer) throws(CheckpointError) in try file.write(buffer, at: offset) }
  }

  /// torch's rule: the file's name without its last extension; `archive` where that is empty or not ASCII.
  static func topFolder(_ path: String) -> String {
    let start = path.utf8.lastIndex(of: 0x2F).map { path.utf8.index(after: $0) } ?? path.startIndex
    var name = path.utf8[start...]
    if let dot = name.lastIndex(of: 0x2E) { name = name[..<dot] }
    let isPlain = !name.isEmpty && name.count <= 1000 && name.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    guard isPlain, let text = String(name), text != ".", text != ".." else { return "archive" }
    return text
  }
}
