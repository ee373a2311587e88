import CDeflate
import Checkpoint
import Synchronization

/// One source's place in an output file.
struct WriteJob: Sendable {
  var source: any ByteSource
  /// In bytes from the start of the file.
  var offset: Int
}

/// What was computed while a job's bytes went by.
struct WrittenJob: Sendable {
  /// CRC-32 as zip has it; 0 when it was not asked for.
  var crc32: UInt32 = 0
  /// One digest an algorithm asked for, in that order.
  var digests: [Digest] = []
}

/// Streams sources to their places with several threads, hashing each piece while it is hot.
struct ParallelWriter: Sendable {
  var digests: [Digest.Algorithm] = []
  var crc32 = false
  var threads = defaultThreads
  /// Told how many more bytes are written; called from several threads.
  var progress: (@Sendable (Int) -> Void)?

  /// The kernel keeps what one call writes in folios as large as the call allows, and a file in large folios is mapped
  /// and touched several times faster afterwards (measured: 16 ms a GiB after pieces of 8 MiB, 85 ms after 512 KiB). The
  /// pieces are still in the last cache when they are hashed.
  private static let pieceSize = 8 << 20

  /// - Returns: one result a job, in the jobs' order.
  func write(_ jobs: [WriteJob], to file: OutputFile) throws(CheckpointError) -> [WrittenJob] {
    try parallelMap(count: jobs.count, threads: threads) { (index) throws(CheckpointError) in
      try write(jobs[index], to: file)
    }
  }

  private func write(_ job: WriteJob, to file: OutputFile) throws(CheckpointError) -> WrittenJob {
    var result = WrittenJob()
    var fast: XXH3? = digests.contains(.xxh3) ? try XXH3() : nil
    var secure: StreamHasher? = digests.contains(.sha256) ? try StreamHasher(.sha256) : nil
    var position = job.offset
    try job.source.forEachPiece(limit: Self.pieceSize) { (piece) throws(CheckpointError) in
      if crc32 { result.crc32 = updatedCRC32(result.crc32, piece) }
      fast?.update(piece)
      secure?.update(piece)
      try file.write(piece, at: position)
      position += piece.count
      progress?(piece.count)
    }
    for algorithm in digests {
      if let digest = algorithm == .xxh3 ? fast?.digest() : secure?.digest() { result.digests.append(digest) }
    }
    return result
  }
}

/// zip's CRC-32 over one more piece; starts from 0.
func updatedCRC32(_ crc: UInt32, _ piece: UnsafeRawBufferPointer) -> UInt32 {
  libdeflate_crc32(crc, piece.baseAddress, piece.count)
}
