import Checkpoint
import HDF5

/// Writes one file: libhdf5 makes the structure, our own threads write the tensors' bytes, and what depends on those
/// bytes (digests, manifest) is put into places that were kept for it.
struct NativeWriter {
  private let root: Value
  private let output: OutputFile
  private let options: NativeFormat.WriteOptions

  init(_ root: Value, path: String, options: NativeFormat.WriteOptions) throws(CheckpointError) {
    self.root = root
    self.options = options
    guard !root.holdsOversizedInteger else {
      throw CheckpointError(.unsupported, "an integer of more than \(BigInt.maximumDigits) digits")
    }
    output = try OutputFile(path, replaces: options.replaces)
  }

  func write() throws(CheckpointError) -> NativeFormat.Written {
    do throws(CheckpointError) {
      return try writeWhole()
    } catch {
      // The user knows the name that was asked for, and not that of the file which is to get it.
      var copy = error
      if copy.file == output.temporaryPath { copy.file = output.path }
      throw copy
    }
  }

  private func writeWhole() throws(CheckpointError) -> NativeFormat.Written {
    var builder = TreeBuilder(root)
    var manifest = Manifest()
    let place = try createStructure(&builder, &manifest)
    let results = try writeTensors(builder)
    let digests = try allDigests(builder, results)
    let content = try ContentDigest.of(root, options.digest, table: builder.table, digests: digests)
    try writeContentDigest(content)
    manifest.entries = builder.entries(results, options.digest)
    try writeManifest(manifest, at: place)
    try output.commit(synced: options.synced)
    return NativeFormat.Written(contentDigest: content, warnings: builder.warnings)
  }

  private var hasSHA256: Bool { options.digest == .sha256 }

  /// Everything but the tensors' bytes. Gives the manifest's range in the file.
  private func createStructure(
    _ builder: inout TreeBuilder, _ manifest: inout Manifest
  ) throws(CheckpointError) -> Range<Int> {
    let file = try hdf5 { () throws(HDF5Error) in
      try File.create(
        output.temporaryPath, metadataBlock: builder.expectedMetadata, truncating: true, locking: false)
    }
    let group = try hdf5 { () throws(HDF5Error) in try file.root() }
    let location = RootLocation(of: root)
    try hdf5 { () throws(HDF5Error) in
      try group.writeAttribute(Vocabulary.formatAttribute, .string(Vocabulary.format))
      try group.writeAttribute(Vocabulary.versionAttribute, .string(Vocabulary.version))
      try group.writeAttribute(Vocabulary.root, .string(location.text))
      try group.writeAttribute(Vocabulary.producer, .string(options.producer))
    }
    try builder.build(root, at: location, in: group)
    manifest.entries = builder.entries([], options.digest)
    let bytes = manifest.encoded(hasSHA256: hasSHA256)
    let offset = try hdf5 { () throws(HDF5Error) -> Int in
      let dataset = try group.createDataset(Vocabulary.manifest, type: .uint8, shape: .simple([bytes.count]))
      try dataset.writeAttribute(Vocabulary.encodingType, .string(Encoding.manifest.rawValue))
      return Int(try dataset.offset ?? 0)
    }
    try file.closeChecked()
    return offset..<(offset + bytes.count)
  }

  private func writeTensors(_ builder: TreeBuilder) throws(CheckpointError) -> [WrittenJob] {
    try output.reserve(try MappedFile(output.temporaryPath).count)
    let writer = ParallelWriter(
      digests: hasSHA256 ? [.xxh3, .sha256] : [.xxh3], threads: options.threads, progress: options.progress)
    return try writer.write(builder.jobs.map(\.job), to: output)
  }

  /// The digest of every tensor of the tree, those that became numbers in a column among them.
  private func allDigests(
    _ builder: TreeBuilder, _ results: [WrittenJob]
  ) throws(CheckpointError) -> [Digest] {
    var digests = [Digest?](repeating: nil, count: builder.table.tensors.count)
    for (job, result) in zip(builder.jobs, results) { digests[job.tensor] = result.digests.last }
    var all: [Digest] = []
    all.reserveCapacity(digests.count)
    for (index, digest) in digests.enumerated() {
      if let digest { all.append(digest) } else { all.append(try builder.table.tensors[index].digest(options.digest)) }
    }
    return all
  }

  /// The attribute is in the root's header, which has a checksum that only libhdf5 should write.
  private func writeContentDigest(_ digest: Digest) throws(CheckpointError) {
    let file = try hdf5 { () throws(HDF5Error) in
      let file = try File.open(output.temporaryPath, .readWrite, locking: false)
      try file.root().writeAttribute(Vocabulary.contentDigest, .string(digest.description))
      return file
    }
    try file.closeChecked()
  }

  private func writeManifest(_ manifest: Manifest, at place: Range<Int>) throws(CheckpointError) {
    let file = try MappedFile(output.temporaryPath)
    var manifest = manifest
    manifest.fileSize = file.count
    manifest.metadataDigest = try Manifest.metadataDigest(
      of: file, gaps: try manifest.gaps(in: file.count, own: place))
    let bytes = manifest.encoded(hasSHA256: hasSHA256)
    guard bytes.count == place.count else {
      throw CheckpointError(.inputOutput, "the manifest has \(bytes.count) bytes, \(place.count) were kept for it")
    }
    var failure: CheckpointError?
    bytes.withUnsafeBytes { buffer in
      do throws(CheckpointError) { try output.write(buffer, at: place.lowerBound) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

/// Where in the file the tree's root lies.
enum RootLocation: Equatable {
  /// Its entries are links of `/`.
  case file
  /// It is the object `/model`, `/optimizer` or `/value`.
  case link(String)

  init(of root: Value) {
    guard case .dict(let dict) = root else {
      self = .link("value")
      return
    }
    // `/` itself has no place for them; a record has (VAL-10).
    guard !root.attributesHoldTensor, !dict.attributesExceed(Vocabulary.maximumAttributeBytes) else {
      self = .link("value")
      return
    }
    switch Recogniser.sections(in: root).first(where: { $0.path.steps.isEmpty })?.kind {
    case .stateDict: self = .link("model")
    case .optimizer: self = .link("optimizer")
    case nil: self = .file
    }
  }

  /// From the `root` attribute.
  init(text: String) throws(CheckpointError) {
    switch text {
    case "/": self = .file
    case "/model", "/optimizer", "/value": self = .link(String(text.dropFirst()))
    default: throw CheckpointError(.damaged, "the root attribute says \"\(text)\"; expected / or a link of it")
    }
  }

  /// The text of the `root` attribute.
  var text: String {
    switch self {
    case .file: "/"
    case .link(let name): "/\(name)"
    }
  }
}
