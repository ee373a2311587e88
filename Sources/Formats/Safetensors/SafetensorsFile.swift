public import Checkpoint

/// The safetensors format (0.8): a JSON header and the tensors' bytes.
public enum SafetensorsFile {
  /// The reference implementation takes no longer header either.
  static let maximumHeader = 100_000_000

  /// Whether a file that starts with these bytes (nine or more of them) may be one: a length that fits the file, then
  /// a brace.
  public static func recognises(_ prefix: some Collection<UInt8>, fileSize: Int) -> Bool {
    let bytes = Array(prefix.prefix(9))
    guard bytes.count == 9, bytes[8] == UInt8(ascii: "{") else { return false }
    let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return length >= 2 && length <= maximumHeader && length <= fileSize - 8
  }

  /// Reads the tree: a dict from names to tensors, in the header's order, which lie in the mapped file. Text that the
  /// file has with it is the dict's attribute `__metadata__`.
  ///
  /// As the reference implementation, it demands that the tensors cover the file's data exactly: no holes, no overlaps,
  /// nothing after them. Names that come twice, which that one accepts, are refused.
  ///
  /// - Throws: `damaged` for what the format does not allow, `unsupported` for an unknown element type; all errors name
  ///   the file and the tensor.
  public static func read(_ path: String) throws(CheckpointError) -> Checkpoint {
    let file = try MappedFile(path)
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      let start = try dataStart(file)
      var header = SafetensorsHeader(UnsafeRawBufferPointer(rebasing: file.bytes[8..<start]))
      do throws(CheckpointError) { try header.read() } catch { throw error.at("the header") }
      try header.checkCover(dataSize: file.count - start)
      return Checkpoint(root: .dict(try tree(header, file, start)))
    } catch {
      throw error.inFile(path)
    }
  }

  private static func dataStart(_ file: MappedFile) throws(CheckpointError) -> Int {
    var cursor = try ByteCursor(file.bytes, what: "the file")
    guard file.count > 0 else { throw CheckpointError(.damaged, "the file is empty") }
    let length = try cursor.large()
    guard length <= maximumHeader else {
      throw CheckpointError(
        .damaged, "a header of \(length) bytes is claimed; at most \(maximumHeader) are allowed", place: "offset 0")
    }
    guard length <= cursor.remaining else {
      throw CheckpointError(
        .damaged, "a header of \(length) bytes is claimed; \(cursor.remaining) bytes follow", place: "offset 0",
        advice: "The file may have been cut short; compare its size with the original's.")
    }
    guard length > 0, file.bytes[8] == UInt8(ascii: "{") else {
      throw CheckpointError(.damaged, "the header does not start with '{'", place: "offset 8")
    }
    return 8 + length
  }

  private static func tree(
    _ header: SafetensorsHeader, _ file: MappedFile, _ start: Int
  ) throws(CheckpointError) -> Dict {
    var entries: [Dict.Entry] = []
    entries.reserveCapacity(header.entries.count)
    for entry in header.entries {
      let range = (start + entry.offsets.lowerBound)..<(start + entry.offsets.upperBound)
      let tensor = try Tensor(dtype: entry.dtype, shape: entry.shape, source: MappedRange(file, range: range))
      entries.append(Dict.Entry(.string(entry.name), .tensor(tensor)))
    }
    guard let metadata = header.metadata else { return Dict(entries) }
    let text = metadata.map { Dict.Entry(.string($0.key), .string($0.value)) }
    return Dict(entries, attributes: [Record.Field("__metadata__", .dict(Dict(text)))])
  }
}
