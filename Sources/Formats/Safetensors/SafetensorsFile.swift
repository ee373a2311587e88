public import Checkpoint

/// The safetensors format (0.8): a JSON header and the tensors' bytes.
public enum SafetensorsFile {
  /// The reference implementation takes no longer header either.
  static let maximumHeader = 100_000_000
  /// The entry of `__metadata__` that says whose names these are (`pt`); never a tie.
  static let framework = "format"

  /// Whether a file that starts with these bytes (nine or more of them) may be one: a length that fits the file, then
  /// a brace.
  public static func recognises(_ prefix: some Collection<UInt8>, fileSize: Int) -> Bool {
    let bytes = Array(prefix.prefix(9))
    guard bytes.count == 9, bytes[8] == UInt8(ascii: "{") else { return false }
    let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return length >= 2 && length <= maximumHeader && length <= fileSize - 8
  }

  /// Reads the tree: a dict from names to tensors, in the header's order, which lie in the mapped file. Text that the
  /// file has with it is the dict's attribute `__metadata__`, there also where it has none, since it tells that the names
  /// are in no module's order; a name in it that stands for another's tensor is an entry.
  /// A whole checkpoint (`ckpt.training`) is the tree that it was.
  ///
  /// As the reference implementation, it demands that the tensors cover the file's data exactly: no holes, no overlaps,
  /// nothing after them. Names that come twice, which that one accepts, are refused.
  ///
  /// - Throws: `damaged` for what the format does not allow, `unsupported` for an unknown element type; all errors name
  ///   the file and the tensor.
  public static func read(_ path: String) throws(CheckpointError) -> Checkpoint {
    let contents = try contents(path)
    guard let rest = contents.rest else { return Checkpoint(root: .dict(contents.dict)) }
    do throws(CheckpointError) {
      return try contents.whole(rest)
    } catch {
      return Checkpoint(root: .dict(contents.dict), warnings: [FlatTree.warning(error)])
    }
  }

  /// Finds what is wrong with a file that is recognised as one.
  ///
  /// - Returns: the content digest that it records, and that its bytes have.
  /// - Throws: `damaged`, `unsupported`.
  static func check(_ path: String) throws(CheckpointError) -> String? {
    let contents = try contents(path)
    guard let rest = contents.rest else { return nil }
    let whole: Checkpoint
    do throws(CheckpointError) { whole = try contents.whole(rest) } catch {
      throw error.at("__metadata__['\(FlatCheckpoint.key)']").inFile(path)
    }
    try whole.checkContent()
    return whole.recordedDigest
  }

  private struct Contents {
    var dict: Dict
    var rest: String?

    func whole(_ rest: String) throws(CheckpointError) -> Checkpoint {
      try FlatTree.checkpoint(dict.tensors, rest: Array(rest.utf8))
    }
  }

  private static func contents(_ path: String) throws(CheckpointError) -> Contents {
    let file = try MappedFile(path)
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      let start = try dataStart(file)
      var header = SafetensorsHeader(UnsafeRawBufferPointer(rebasing: file.bytes[8..<start]))
      do throws(CheckpointError) { try header.read() } catch { throw error.at("the header") }
      try header.checkCover(dataSize: file.count - start)
      return try tree(header, file, start)
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
  ) throws(CheckpointError) -> Contents {
    var entries: [Dict.Entry] = []
    entries.reserveCapacity(header.entries.count)
    for entry in header.entries {
      let range = (start + entry.offsets.lowerBound)..<(start + entry.offsets.upperBound)
      let tensor = try Tensor(dtype: entry.dtype, shape: entry.shape, source: MappedRange(file, range: range))
      entries.append(Dict.Entry(.string(entry.name), .tensor(tensor)))
    }
    let metadata = header.metadata ?? []
    if let rest = metadata.first(where: { $0.key.hasSameBytes(as: FlatCheckpoint.key) }) {
      return Contents(dict: Dict(entries), rest: rest.value)
    }
    let text = addTied(metadata, to: &entries)
    return Contents(dict: Dict(entries, attributes: [Record.Field("__metadata__", .dict(Dict(text)))]))
  }

  /// `save_model` writes tensors that share their storage once, and says under each dropped name which one was kept.
  ///
  /// - Returns: the text that is none of that.
  private static func addTied(
    _ metadata: [(key: String, value: String)], to entries: inout [Dict.Entry]
  ) -> [Dict.Entry] {
    let text = metadata.map { Dict.Entry(.string($0.key), .string($0.value)) }
    // Most files have a word or two.
    guard metadata.contains(where: { $0.key != framework }) else { return text }
    let owners = Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
    var tied: [Dict.Entry] = []
    let rest = text.filter { entry in
      guard entry.key != .string(framework), owners[entry.key] == nil, case .string(let kept) = entry.value,
        let value = owners[.string(kept)]
      else {
        return true
      }
      tied.append(Dict.Entry(entry.key, value))
      return false
    }
    entries += tied.sorted { $0.key.text.utf8.lexicographicallyPrecedes($1.key.text.utf8) }
    return rest
  }
}

extension Dict {
  /// The entries that are tensors under string keys.
  var tensors: [(name: String, tensor: Tensor)] {
    entries.compactMap { entry in
      guard case .string(let name) = entry.key, case .tensor(let tensor) = entry.value else { return nil }
      return (name, tensor)
    }
  }
}
