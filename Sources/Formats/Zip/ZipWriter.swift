import Checkpoint

/// A zip archive on its way: payloads first, in any order, each with its CRC-32 taken as the bytes pass; then the
/// headers and the directory, which tell them.
struct ZipWriter {
  let layout: ZipLayout
  var threads = defaultThreads
  /// Told how many more bytes are written; called from several threads.
  var progress: (@Sendable (Int) -> Void)?
  private let file: OutputFile
  private var crcs: [UInt32]
  private var next = 0

  init(_ layout: ZipLayout, to path: String, replaces: Bool) throws(CheckpointError) {
    self.layout = layout
    file = try OutputFile(path, replaces: replaces)
    try file.reserve(layout.end)
    crcs = Array(repeating: 0, count: layout.records.count)
  }

  /// Writes the payloads of the next records in the layout's order, as many as there are sources.
  mutating func write(_ sources: [any ByteSource]) throws(CheckpointError) {
    let places = next..<min(next + sources.count, layout.records.count)
    var writer = ParallelWriter()
    writer.crc32 = true
    writer.threads = threads
    writer.progress = progress
    let jobs = zip(layout.records[places], sources).map { WriteJob(source: $1, offset: $0.payload) }
    crcs.replaceSubrange(places, with: try writer.write(jobs, to: file).map(\.crc32))
    next = places.upperBound
  }

  /// Writes the rest, when all payloads are there, and gives the file its name.
  func finish(synced: Bool = true) throws(CheckpointError) {
    for (record, crc) in zip(layout.records, crcs) {
      try write(layout.localHeader(record, crc: crc), at: record.header)
    }
    let directory = layout.directory(crcs: crcs)
    try write(directory, at: layout.end)
    try file.truncate(layout.end + directory.count)
    try file.commit(synced: synced)
  }

  private func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    try BufferSource(bytes).withBytes { (buffer) throws(CheckpointError) in try file.write(buffer, at: offset) }
  }
}
