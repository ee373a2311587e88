public import Checkpoint

/// NumPy's files: an array (`.npy`, versions 1 to 3) and zip archives of arrays (`.npz`, stored or deflated).
public enum NumPyFile {
  /// Whether a file that starts with these bytes may be one: an array, or a zip archive (which may be anything else).
  public static func recognises(_ prefix: some Collection<UInt8>) -> Bool {
    prefix.starts(with: NumPyHeader.magic) || prefix.starts(with: [0x50, 0x4B, 0x03, 0x04])
      || prefix.starts(with: [0x50, 0x4B, 0x05, 0x06])
  }

  /// Reads the tree: a tensor for `.npy`; for `.npz` a dict from names (without `.npy`) to tensors, in file order.
  ///
  /// Tensors are row-major and little-endian whatever the file has. Their bytes stay in the mapped file until they are
  /// asked for; of deflated records no more than the header is inflated. A record's CRC-32 is checked when its bytes are
  /// read.
  ///
  /// - Throws: `damaged` for what the format does not allow, `unsupported` for arrays of objects, text, times and
  ///   structured types; all errors name the file and the array.
  public static func read(_ path: String) throws(CheckpointError) -> Checkpoint {
    let file = try MappedFile(path)
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      if file.bytes.starts(with: NumPyHeader.magic) { return try array(file) }
      guard recognises(file.bytes.prefix(4)) else {
        throw CheckpointError(
          .unsupported, file.count == 0 ? "the file is empty" : "is neither an .npy array nor an .npz archive")
      }
      return try archive(ZipArchive(file, naming: .any))
    } catch {
      throw error.inFile(path)
    }
  }

  private static func array(_ file: MappedFile) throws(CheckpointError) -> Checkpoint {
    let header = try NumPyHeader(file.bytes)
    let range = try header.dataRange(fileSize: file.count)
    let tensor = try header.tensor(MappedRange(file, range: range))
    return Checkpoint(root: .tensor(tensor), warnings: trailing(file.count - range.upperBound, "the array"))
  }

  private static func archive(_ zip: ZipArchive) throws(CheckpointError) -> Checkpoint {
    var result = Checkpoint(root: .none)
    var names: Set<Key> = []
    var entries: [Dict.Entry] = []
    for record in zip.entries {
      do throws(CheckpointError) {
        var start = try zip.start(of: record, count: 512)
        if start.count == 512 { start = try zip.start(of: record, count: NumPyHeader.length(start)) }
        guard start.starts(with: NumPyHeader.magic) else {
          result.warnings.append("the record \(record.name) is no array; it is left out")
          continue
        }
        let name = record.name.hasSuffix(".npy") ? String(record.name.dropLast(4)) : record.name
        guard names.insert(.string(name)).inserted else {
          throw CheckpointError(.damaged, "two records hold an array of this name")
        }
        let (tensor, rest) = try self.tensor(record, start, in: zip)
        result.warnings += trailing(rest, "the array \(name)")
        entries.append(Dict.Entry(.string(name), .tensor(tensor)))
      } catch {
        throw error.at("record \(record.name)")
      }
    }
    if zip.trailingBytes > 0 { result.warnings += trailing(zip.trailingBytes, "the archive") }
    result.root = .dict(Dict(entries))
    return result
  }

  private static func tensor(
    _ record: ZipEntry, _ start: [UInt8], in zip: ZipArchive
  ) throws(CheckpointError) -> (Tensor, trailing: Int) {
    let header = try start.withUnsafeBytes { bytes in
      // A throwing closure of the standard library would forget the error's type.
      do throws(CheckpointError) { return Result<_, CheckpointError>.success(try NumPyHeader(bytes)) } catch {
        return .failure(error)
      }
    }.get()
    let range = try header.dataRange(fileSize: record.size)
    let data = try SliceSource(zip.source(record, verify: true), range: range)
    return (try header.tensor(data), record.size - range.upperBound)
  }

  private static func trailing(_ count: Int, _ what: String) -> [String] {
    count > 0 ? ["\(count) bytes follow \(what); they are not read"] : []
  }
}
