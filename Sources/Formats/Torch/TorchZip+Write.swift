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

    // There is no `.format_version`, so torch does not compute storage offsets but looks them up.
    var layout = ZipLayout(isAlwaysWide: true)
    for (name, source) in sources { try layout.add("\(folder)/\(name)", size: source.byteCount) }
    var writer = try ZipWriter(layout, to: path, replaces: options.replaces)
    writer.threads = options.threads
    writer.progress = options.progress
    try writer.write(sources.map(\.source))
    try writer.finish(synced: options.synced)
    return warnings
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
