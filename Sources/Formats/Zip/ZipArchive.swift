import Checkpoint

/// The records of a zip archive. Everything is checked before anything is handed out: names, bounds, overlaps.
///
/// Sizes and CRC-32 come from the central directory, since miniz leaves them 0 in the local headers.
struct ZipArchive: Sendable {
  /// What the names of the records are held to.
  enum Naming: Sendable {
    /// As PyTorch has it: all records lie in one top folder, which is taken off their names, and case does not count.
    case oneFolder
    /// Any names.
    case any
  }

  let file: MappedFile
  /// What errors call the archive, where it is not all of the file.
  let label: String?
  /// The folder that all records lie in, without the slash; empty where any names are allowed.
  let folder: String
  let entries: [ZipEntry]
  /// Whether any record has a CRC-32 (`torch.serialization.set_crc32_options(False)` writes 0 everywhere).
  let hasChecksums: Bool
  /// Bytes after the archive's end, which no reader looks at.
  let trailingBytes: Int
  private let index: ZipNames

  /// - Parameter part: the part of the file that is the archive, where it is not the whole; it lies in the file.
  ///   Offsets in errors count from its start, and its label comes before the records' names in them.
  init(
    _ file: MappedFile, part: (label: String, window: Range<Int>)? = nil, naming: Naming = .oneFolder
  ) throws(CheckpointError) {
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      let window = part?.window ?? 0..<file.count
      var reader = try ZipEntryReader(UnsafeRawBufferPointer(rebasing: file.bytes[window]), naming: naming)
      try reader.readAll()
      if window.lowerBound > 0 { reader.moveEntries(by: window.lowerBound) }
      self.file = file
      self.label = part?.label
      self.folder = reader.folder
      self.entries = reader.entries
      self.index = reader.names
      self.trailingBytes = reader.directory.trailing
      self.hasChecksums = reader.entries.contains { $0.crc != 0 }
    } catch {
      throw error.inFile(file.path)
    }
  }

  /// Records that were found one by one, whose names are all different.
  init(_ file: MappedFile, folder: String, entries: [ZipEntry]) {
    var names = ZipNames(foldsCase: true)
    for (place, entry) in entries.enumerated() { _ = names.add(entry.name, at: place) }
    (self.file, self.folder, self.entries) = (file, folder, entries)
    (index, trailingBytes, label) = (names, 0, nil)
    hasChecksums = entries.contains { $0.crc != 0 }
  }

  /// What errors call a record.
  func place(of entry: ZipEntry) -> String { (label.map { "\($0): " } ?? "") + "record \(entry.name)" }

  /// The record of a name (without the top folder).
  func entry(_ name: String) -> ZipEntry? { place(of: name).map { entries[$0] } }

  /// Its place in `entries`.
  func place(of name: String) -> Int? { index.place(of: name) }

  /// The place in `entries` of the record `data/<key>`.
  func storageIndex(_ key: String) -> Int? { index.place(ofStorage: key) }
}
