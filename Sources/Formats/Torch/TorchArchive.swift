import Checkpoint

/// A zip archive that is a PyTorch checkpoint: which records it has and what they say about the whole.
struct TorchArchive {
  let zip: ZipArchive
  let pickleEntry: ZipEntry
  let isBigEndian: Bool
  let verify: Bool
  /// Whether storages may be missing: they are then told when their bytes are asked for.
  let salvages: Bool
  private(set) var warnings: [String] = []

  init(_ path: String, verify: Bool, salvages: Bool = false) throws(CheckpointError) {
    let file = try MappedFile(path)
    do throws(CheckpointError) {
      try self.init(file, verify: verify, salvages: salvages)
    } catch {
      throw error.inFile(path)
    }
  }

  /// - Parameter part: the part of the file that is the archive, where it is not the whole, and what errors call it.
  init(
    _ file: MappedFile, part: (label: String, window: Range<Int>)? = nil, verify: Bool, salvages: Bool = false
  ) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    guard TorchZip.recognises(file.bytes[part?.window ?? 0..<file.count].prefix(4)) else {
      throw CheckpointError(.damaged, "does not start with a zip record, as a PyTorch checkpoint does")
    }
    (zip, warnings) = salvages ? try ZipArchive.salvaged(file) : (try ZipArchive(file, part: part), [])
    (self.verify, self.salvages) = (verify, salvages)
    guard zip.entry("model.json") == nil else {
      throw CheckpointError(
        .unsupported, "a TorchScript archive as before PyTorch 1.3 (it has model.json)",
        advice: "In Python, save torch.jit.load(file).state_dict() with torch.save, and convert that.")
    }
    guard let entry = zip.entry("data.pkl") else {
      if salvages, !warnings.isEmpty {
        throw CheckpointError(.damaged, "its record data.pkl, which says what the others are, is lost")
      }
      throw CheckpointError(.unsupported, "a zip archive without data.pkl: not a PyTorch checkpoint")
    }
    pickleEntry = entry
    isBigEndian = try Self.readByteOrder(zip, verify: verify)
    try readVersion()
    if zip.trailingBytes > 0 {
      warnings.append("\(zip.trailingBytes) bytes follow the archive's end; they are not part of the checkpoint")
    }
  }

  /// The content of a short text record, without the white space around it.
  private static func text(
    _ name: String, in zip: ZipArchive, verify: Bool
  ) throws(CheckpointError) -> String? {
    guard let entry = zip.entry(name) else { return nil }
    guard entry.size <= 64 else {
      throw CheckpointError(.damaged, "\(entry.size) bytes where a word is due", place: "record \(name)")
    }
    var text = ""
    try zip.source(entry, verify: verify).withBytes { (bytes) throws(CheckpointError) in
      text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }
    return text
  }

  /// Storages are in this order (since PyTorch 2.1; little before).
  private static func readByteOrder(_ zip: ZipArchive, verify: Bool) throws(CheckpointError) -> Bool {
    switch try text("byteorder", in: zip, verify: verify) {
    case nil, "little": return false
    case "big": return true
    case let other?:
      throw CheckpointError(
        .damaged, "the byte order is '\(other)'; expected 'little' or 'big'", place: "record byteorder")
    }
  }

  /// PyTorch 2.13 reads archive versions 1 to 10.
  private mutating func readVersion() throws(CheckpointError) {
    var version = try Self.text("version", in: zip, verify: verify)
    if version == nil { version = try Self.text(".data/version", in: zip, verify: verify) }
    guard let version else {
      if salvages { return }
      warnings.append("the archive has no version record; torch itself will not load it")
      return
    }
    guard let number = Int(version), number >= 1, number <= 10 else {
      throw CheckpointError(
        .unsupported, "archive version '\(version)'; 1 to 10 are known", place: "record version")
    }
  }

  func read() throws(CheckpointError) -> Checkpoint {
    do throws(CheckpointError) {
      var result = Checkpoint(root: .none, warnings: warnings)
      let constants = try zip.entry("constants.pkl").map { (e) throws(CheckpointError) in try readConstants(e) }
      try zip.source(pickleEntry, verify: verify).withBytes { (bytes) throws(CheckpointError) in
        do throws(CheckpointError) {
          try read(bytes, constants, into: &result)
        } catch {
          throw error.at("record data.pkl")
        }
      }
      return result
    } catch {
      throw error.inFile(zip.file.path)
    }
  }

  /// - Parameter constants: what `constants.pkl` holds, in an archive of TorchScript.
  private func read(
    _ bytes: UnsafeRawBufferPointer, _ constants: Value?, into result: inout Checkpoint
  ) throws(CheckpointError) {
    let limits = PickleMachine.Limits(bytesInFile: pickleEntry.payload.count)
    let (pickle, length) = try PickleMachine.run(bytes, limits: limits)
    if length < bytes.count { result.warnings.append("\(bytes.count - length) bytes follow the pickle's end") }
    let storages = TorchStorages(
      ZipStorages(archive: zip, verify: verify), bigEndian: isBigEndian, salvages: salvages)
    var tree = try TorchTree(pickle, bytes: bytes, storages: storages)
    tree.script = constants == nil ? nil : ScriptCode(zip, verify: verify)
    tree.constants = constants
    result.root = try tree.root()
    if tree.script != nil, PickledModule(result.root) == nil {
      throw CheckpointError(.damaged, "a TorchScript archive whose pickle is no module")
    }
    result.warnings += tree.warnings
  }
}
