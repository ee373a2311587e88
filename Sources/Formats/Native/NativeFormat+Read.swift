public import Checkpoint
import HDF5

extension NativeFormat {
  /// Whether the file is an HDF5 file with our marker: opens the root and reads one attribute.
  public static func recognises(_ path: String) -> Bool {
    guard File.isHDF5(path) else { return false }
    do throws(HDF5Error) {
      let file = try File.open(path, .readOnly)
      let root = try file.root()
      guard try root.hasAttribute(Vocabulary.formatAttribute) else { return false }
      return try root.readAttribute(Vocabulary.formatAttribute) == .string(Vocabulary.format)
    } catch {
      return false
    }
  }

  /// Reads the tree; tensors stay in the file, mapped, until they are asked for.
  ///
  /// - Throws: `damaged` or `unsupported` for what the profile does not allow, before any data is touched.
  public static func read(_ path: String) throws(CheckpointError) -> Checkpoint { try open(path).checkpoint }

  /// As `read`, with what the file says about itself.
  public static func open(_ path: String) throws(CheckpointError) -> (checkpoint: Checkpoint, header: Header) {
    do throws(CheckpointError) {
      let file = try NativeFile(path)
      var warnings: [String] = []
      var index: ManifestIndex?
      do throws(CheckpointError) {
        index = try file.currentManifest()
      } catch {
        warnings.append("the manifest is not used: \(error.message); every object was read instead")
      }
      var reader = TreeReader(file: file.mapped, manifest: index, manifestRange: file.noticedManifest())
      let root = try reader.read(file.root(), at: file.location)
      let header = Header(
        version: file.version, producer: file.producer, contentDigest: file.contentDigest, bytes: file.mapped.count)
      return (
        Checkpoint(root: root, warnings: warnings + reader.warnings, recordedDigest: file.contentDigest), header
      )
    } catch {
      throw error.inFile(path)
    }
  }

  /// What the file says about itself, without its tree.
  public struct Header: Sendable {
    public var version: String
    public var producer: String?
    public var contentDigest: String?
    /// Size of the file.
    public var bytes: Int
  }
}

/// One of our files, open and with its header checked.
struct NativeFile: ~Copyable {
  let path: String
  let mapped: MappedFile
  let version: String
  let location: RootLocation
  let producer: String?
  let contentDigest: String?
  private let file: File

  init(_ path: String) throws(CheckpointError) {
    let mapped = try MappedFile(path)
    let file = try hdf5 { () throws(HDF5Error) in try File.open(path, .readOnly) }
    let header = try Self.header(of: file)
    self.path = path
    self.mapped = mapped
    (version, location) = (header.version, header.location)
    (producer, contentDigest) = (header.producer, header.contentDigest)
    self.file = file
  }

  private struct RootAttributes {
    var version: String
    var location: RootLocation
    var producer: String?
    var contentDigest: String?
  }

  private static func header(of file: borrowing File) throws(CheckpointError) -> RootAttributes {
    guard try hdf5({ () throws(HDF5Error) in try file.userblockSize }) == 0 else {
      throw CheckpointError(.unsupported, "the file has a user block before its HDF5 content, which is not allowed")
    }
    let root = try hdf5 { () throws(HDF5Error) in try file.root() }
    guard try root.text(Vocabulary.formatAttribute) == Vocabulary.format else {
      throw CheckpointError(
        .unsupported, "an HDF5 file, but not a checkpoint: its root has no attribute format=\"ckpt\"")
    }
    let version = try root.text(Vocabulary.versionAttribute) ?? ""
    try check(version: version)
    try check(features: try root.text(Vocabulary.requiredFeatures) ?? "")
    guard let text = try root.text(Vocabulary.root) else {
      throw CheckpointError(.damaged, "the attribute root is missing")
    }
    return RootAttributes(
      version: version, location: try RootLocation(text: text), producer: try root.text(Vocabulary.producer),
      contentDigest: try root.text(Vocabulary.contentDigest))
  }

  func root() throws(CheckpointError) -> Group {
    try hdf5 { () throws(HDF5Error) in try file.root() }
  }

  private static func check(version: String) throws(CheckpointError) {
    let parts = version.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ Int(String(decoding: $0, as: UTF8.self)) != nil }) else {
      throw CheckpointError(.damaged, "format_version is \"\(version)\"; expected MAJOR.MINOR")
    }
    guard parts[0].elementsEqual(Vocabulary.major.utf8) else {
      throw CheckpointError(
        .unsupported, "format_version is \(version); this reader knows \(Vocabulary.major).x",
        advice: "Use a newer ckpt.")
    }
  }

  private static func check(features: String) throws(CheckpointError) {
    for feature in features.utf8.split(separator: 0x2C).map({ String(decoding: $0, as: UTF8.self) })
    where !Vocabulary.knownFeatures.contains(feature) {
      throw CheckpointError(
        .unsupported, "the file requires the feature \"\(feature)\", which this reader does not know",
        advice: "Use a newer ckpt.")
    }
  }

  /// Where the manifest lies; nil when there is none that could be one.
  func noticedManifest() -> Range<Int>? { (try? manifestRange()).flatMap { $0 } }

  /// Where the manifest lies; nil when there is none.
  func manifestRange() throws(CheckpointError) -> Range<Int>? {
    guard let storage = try manifestStorage() else { return nil }
    guard let range = storage.range else {
      throw CheckpointError(.damaged, "the manifest is not contiguous: the file was repacked")
    }
    return range
  }

  private func manifestStorage() throws(CheckpointError) -> StoredBytes? {
    let root = try root()
    guard try hdf5({ () throws(HDF5Error) in try root.exists(Vocabulary.manifest) }) else { return nil }
    let dataset = try hdf5 { () throws(HDF5Error) in try root.openDataset(Vocabulary.manifest) }
    let storage = try StoredBytes(dataset, file: mapped, path: Vocabulary.manifest)
    guard storage.type == .uint8 else { throw CheckpointError(.damaged, "the manifest is no uint8 dataset") }
    return storage
  }

  /// The manifest as it stands, in whatever layout and whether it still holds or not; nil when there is none.
  func manifest() throws(CheckpointError) -> Manifest? {
    guard let storage = try manifestStorage() else { return nil }
    var manifest: Manifest?
    try storage.source.withBytes { (bytes) throws(CheckpointError) in manifest = try Manifest(bytes) }
    return manifest
  }

  /// The manifest where it lies in the mapped file.
  func manifest(at range: Range<Int>) throws(CheckpointError) -> Manifest {
    defer { withExtendedLifetime(mapped) {} }
    return try Manifest(UnsafeRawBufferPointer(rebasing: mapped.bytes[range]))
  }

  /// The manifest, checked against the file as it is now.
  ///
  /// - Throws: why it cannot be used.
  func currentManifest() throws(CheckpointError) -> ManifestIndex {
    guard let range = try manifestRange() else { throw CheckpointError(.damaged, "there is none") }
    let manifest = try manifest(at: range)
    try check(manifest, at: range)
    return try ManifestIndex(manifest)
  }

  /// Checks that nothing but tensors' bytes has changed since the manifest was written.
  func check(_ manifest: Manifest, at range: Range<Int>) throws(CheckpointError) {
    guard manifest.fileSize == mapped.count else {
      throw CheckpointError(.damaged, "it is of a file of \(manifest.fileSize) bytes, this one has \(mapped.count)")
    }
    let gaps = try manifest.gaps(in: mapped.count, own: range)
    guard try Manifest.metadataDigest(of: mapped, gaps: gaps) == manifest.metadataDigest else {
      throw CheckpointError(.damaged, "something outside the tensors has changed since it was written")
    }
  }
}
