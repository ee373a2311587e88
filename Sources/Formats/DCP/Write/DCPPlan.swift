import Checkpoint

/// Which file of a distributed checkpoint each leaf goes to, and where in it.
///
/// A tensor that is large enough is cut along its first dimension into as many parts as there are files, as FSDP shards
/// it, so that as many ranks read a file each. Others lie whole in the file that has the least.
struct DCPPlan {
  /// One torch.save archive: a leaf, or some rows of one.
  struct Piece {
    var leaf: Int
    var file: Int
    /// Where the archive starts in its file; a multiple of 64, so that payloads stay aligned.
    var start = 0
    var length = 0
    /// Nil where the leaf is no tensor.
    var box: (offsets: [Int], sizes: [Int])?
    /// Its records, and what is in them: nil for the payload that `source` of the job streams.
    var layout = ZipLayout(isAlwaysWide: true)
    var contents: [[UInt8]?] = []
  }

  /// A source and the payloads its bytes are cut into.
  struct Job {
    struct Target {
      var range: Range<Int>
      var piece: Int
      var record: Int
    }

    var source: any ByteSource
    var targets: [Target]
  }

  private(set) var pieces: [Piece] = []
  private(set) var jobs: [Job] = []
  /// The size of each file.
  private(set) var sizes: [Int]
  private(set) var warnings: [String] = []

  /// Smaller tensors are not worth an archive of their own a rank.
  static let splitSize = 64 << 10

  init(_ leaves: [DCPFlattening.Leaf], files: Int) throws(CheckpointError) {
    sizes = Array(repeating: 0, count: max(files, 1))
    // Those that are cut go first; the others then fill up the files that have less.
    var rest: [Int] = []
    for (index, leaf) in leaves.enumerated() {
      guard case .tensor(let tensor) = leaf.value, Self.isCut(tensor, sizes.count) else {
        rest.append(index)
        continue
      }
      try addRows(of: tensor, index)
    }
    for index in rest {
      guard case .tensor(let tensor) = leaves[index].value, TorchTypes.hasStorage(tensor.dtype) else {
        try addValue(leaves[index], index)
        continue
      }
      let file = sizes.indices.min { sizes[$0] < sizes[$1] } ?? 0
      let box = (offsets: tensor.shape.map { _ in 0 }, sizes: tensor.shape)
      jobs.append(Job(source: tensor.source, targets: [try addPiece(tensor, 0..<tensor.byteCount, box, index, file)]))
    }
  }

  private static func isCut(_ tensor: Tensor, _ files: Int) -> Bool {
    files > 1 && tensor.byteCount >= splitSize && TorchTypes.hasStorage(tensor.dtype) && (tensor.shape.first ?? 0) > 1
  }

  private mutating func addRows(of tensor: Tensor, _ leaf: Int) throws(CheckpointError) {
    let rows = tensor.shape[0]
    let each = (rows + sizes.count - 1) / sizes.count
    let rowBytes = tensor.byteCount / rows
    var targets: [Job.Target] = []
    for (file, first) in stride(from: 0, to: rows, by: each).enumerated() {
      let last = min(first + each, rows)
      let box = (
        offsets: [first] + tensor.shape.dropFirst().map { _ in 0 }, sizes: [last - first] + tensor.shape.dropFirst()
      )
      targets.append(try addPiece(tensor, (first * rowBytes)..<(last * rowBytes), box, leaf, file))
    }
    jobs.append(Job(source: tensor.source, targets: targets))
  }

  private mutating func addPiece(
    _ tensor: Tensor, _ range: Range<Int>, _ box: (offsets: [Int], sizes: [Int]), _ leaf: Int, _ file: Int
  ) throws(CheckpointError) -> Job.Target {
    let plain = try Tensor(dtype: tensor.dtype, shape: box.sizes, source: Unread(byteCount: range.count))
    let (pickle, _, _) = try TorchPickler.pickle(.tensor(plain))
    var piece = Piece(leaf: leaf, file: file, box: box)
    try piece.add("data.pkl", pickle)
    try piece.add("byteorder", Array("little".utf8))
    try piece.layout.add("archive/data/0", size: range.count)
    piece.contents.append(nil)
    try piece.add("version", Array("3\n".utf8))
    place(piece)
    return Job.Target(range: range, piece: pieces.count - 1, record: 2)
  }

  private mutating func addValue(_ leaf: DCPFlattening.Leaf, _ index: Int) throws(CheckpointError) {
    let (pickle, storages, found) = try TorchPickler.pickle(leaf.value)
    warnings += found.map { "\(leaf.name): \($0)" }
    var piece = Piece(leaf: index, file: 0)
    try piece.add("data.pkl", pickle)
    try piece.add("byteorder", Array("little".utf8))
    for (number, storage) in storages.enumerated() {
      try piece.layout.add("archive/data/\(number)", size: storage.source.byteCount)
      piece.contents.append(nil)
      let target = Job.Target(range: 0..<storage.source.byteCount, piece: pieces.count, record: 2 + number)
      jobs.append(Job(source: storage.source, targets: [target]))
    }
    try piece.add("version", Array("3\n".utf8))
    place(piece)
  }

  /// Puts an archive at the end of its file.
  private mutating func place(_ piece: Piece) {
    var piece = piece
    let crcs = Array(repeating: UInt32(0), count: piece.layout.records.count)
    piece.start = (sizes[piece.file] + 63) / 64 * 64
    piece.length = piece.layout.end + piece.layout.directory(crcs: crcs).count
    sizes[piece.file] = piece.start + piece.length
    pieces.append(piece)
  }
}

extension DCPPlan.Piece {
  fileprivate mutating func add(_ name: String, _ content: [UInt8]) throws(CheckpointError) {
    try layout.add("archive/\(name)", size: content.count)
    contents.append(content)
  }
}

/// Stands for bytes where only their number counts.
private final class Unread: ByteSource {
  let byteCount: Int

  init(byteCount: Int) { self.byteCount = byteCount }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    throw CheckpointError(.usage, "bytes that are not there")
  }
}
