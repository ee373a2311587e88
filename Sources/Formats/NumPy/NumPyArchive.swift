import Checkpoint

/// The arrays of an `.npz` archive.
struct NumPyArchive {
  /// In the archive's order.
  private(set) var tensors: [(name: String, tensor: Tensor)] = []
  private(set) var warnings: [String] = []
  /// What ckpt keeps of a checkpoint besides its tensors (`ckpt.training`).
  private(set) var rest: [UInt8]?
  private let zip: ZipArchive
  private let verifies: Bool
  private var names: Set<Key> = []

  init(_ zip: ZipArchive, verifies: Bool) throws(CheckpointError) {
    (self.zip, self.verifies) = (zip, verifies)
    for record in zip.entries {
      do throws(CheckpointError) { try add(record) } catch { throw error.at(zip.place(of: record)) }
    }
    if zip.trailingBytes > 0 { warnings += NumPyFile.trailing(zip.trailingBytes, "the archive") }
  }

  /// Names and tensors alone.
  var plain: Checkpoint {
    Checkpoint(root: .dict(Dict(tensors.map { Dict.Entry(.string($0.name), .tensor($0.tensor)) })), warnings: warnings)
  }

  /// The checkpoint that ckpt wrote.
  func whole(_ rest: [UInt8]) throws(CheckpointError) -> Checkpoint {
    try FlatTree.checkpoint(tensors, rest: rest)
  }

  private mutating func add(_ record: ZipEntry) throws(CheckpointError) {
    var start = try zip.start(of: record, count: 512)
    if start.count == 512 { start = try zip.start(of: record, count: NumPyHeader.length(start)) }
    guard start.starts(with: NumPyHeader.magic) else {
      warnings.append("the record \(record.name) is no array; it is left out")
      return
    }
    let name = record.name.hasSuffix(".npy") ? String(record.name.dropLast(4)) : record.name
    guard names.insert(.string(name)).inserted else {
      throw CheckpointError(.damaged, "two records hold an array of this name")
    }
    let header = try start.withUnsafeBytes { bytes in
      // A throwing closure of the standard library would forget the error's type.
      do throws(CheckpointError) { return Result<_, CheckpointError>.success(try NumPyHeader(bytes)) } catch {
        return .failure(error)
      }
    }.get()
    if case .other(let what, _) = header.element {
      if name.hasSameBytes(as: FlatCheckpoint.key) { return try readRest(record, header) }
      warnings.append("\(name): \(what); it is left out")
      return
    }
    let range = try header.dataRange(fileSize: record.size)
    let tensor = try header.tensor(SliceSource(zip.source(record, verify: verifies), range: range))
    warnings += header.element.warning(of: name)
    warnings += NumPyFile.trailing(record.size - range.upperBound, "the array \(name)")
    tensors.append((name, tensor))
  }

  /// An array of bytes without dimensions, which is the text.
  private mutating func readRest(_ record: ZipEntry, _ header: NumPyHeader) throws(CheckpointError) {
    var bytes: [UInt8] = []
    try zip.source(record, verify: verifies).withBytes { (record) throws(CheckpointError) in
      bytes = Array(record.dropFirst(header.dataOffset))
    }
    rest = bytes
  }
}
