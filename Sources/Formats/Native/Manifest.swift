import Checkpoint

/// The index of a file's tensors, kept in the dataset `/manifest` as JSON in the manner of a safetensors header.
///
/// It is no second truth. It says what the file was when it was written, down to a digest of every byte that is not a
/// tensor's, so a reader knows in a millisecond whether it still holds.
struct Manifest: Sendable {
  struct Entry: Sendable {
    /// Path of the group that the dataset lies in, without the leading slash; empty for the root. One text for all of
    /// the group's entries, where neighbours have it in common.
    var group: String
    /// The dataset's link in that group.
    var link: String
    var shape: [Int]
    /// Where the bytes lie in the file; empty at 0 for a tensor without elements.
    var range: Range<Int>
    /// The path that was written, where this one is another link to the same dataset.
    var aliasOf: String?
    var xxh3: Digest?
    var sha256: Digest?
    var dtype: DType
    var kind: Tensor.Kind = .tensor
    var requiresGrad = false

    /// Path of the dataset in the file, without the leading slash.
    var path: String {
      get { Self.path(group, link) }
      set { (group, link) = newValue.splitAtLastSlash }
    }
  }

  var fileSize = 0
  /// Of every byte of the file outside the tensors and the manifest.
  var metadataDigest: Digest?
  /// In the order of the tree.
  var entries: [Entry] = []

  /// The text before the digits of the manifest's own digest.
  /// All blocks of the file begin at multiples of this.
  private static let alignment = 64
  private static let head = "{\"manifest\":\"1.0\",\"self_xxh3\":\""
  private static let emptyDigest = Digest(.xxh3, bytes: [])
  private static let sizeDigits = 19
  private static let members: [StaticString] = ["manifest", "metadata_xxh3", "file_size", "tensors"]
  private static let entryMembers: [StaticString] = [
    "dtype", "shape", "offsets", "xxh3", "sha256", "requires_grad", "kind", "alias_of",
  ]
}

extension Manifest.Entry {
  fileprivate static func path(_ group: String, _ link: String) -> String {
    group.isEmpty ? link : "\(group)/\(link)"
  }

  init(path: String, dtype: DType, shape: [Int], range: Range<Int>) {
    let (group, link) = path.splitAtLastSlash
    self.init(group: group, link: link, shape: shape, range: range, dtype: dtype)
  }
}

// MARK: - Writing

extension Manifest {
  /// The manifest's bytes. As long as the entries' paths, shapes and offsets are the same, so is the length: digests
  /// that are not known yet are written as zeros.
  func encoded(hasSHA256: Bool) -> [UInt8] {
    var bytes = Array(Self.head.utf8)
    let digits = bytes.count..<(bytes.count + 32)
    bytes.append(contentsOf: Self.emptyDigest.hex.utf8)
    bytes.append(contentsOf: "\",\"metadata_xxh3\":\"\((metadataDigest ?? Self.emptyDigest).hex)\",".utf8)
    let size = String(fileSize)
    bytes.append(contentsOf: "\"file_size\":".utf8)
    bytes.append(contentsOf: repeatElement(0x20, count: max(0, Self.sizeDigits - size.utf8.count)))
    bytes.append(contentsOf: size.utf8)
    bytes.append(contentsOf: ",\"tensors\":".utf8)
    bytes.append(contentsOf: tensorsJSON(hasSHA256: hasSHA256))
    bytes.append(contentsOf: "}\n".utf8)
    let own = bytes.withUnsafeBytes { XXH3.hash($0) }
    bytes.replaceSubrange(digits, with: own.hex.utf8)
    return bytes
  }

  private func tensorsJSON(hasSHA256: Bool) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    for entry in entries {
      json.newline()
      json.key(entry.path)
      json.beginObject()
      json.key(plain: "dtype")
      json.string(entry.dtype.rawValue)
      json.key(plain: "shape")
      json.beginArray()
      for size in entry.shape { json.int(size) }
      json.endArray()
      json.key(plain: "offsets")
      json.beginArray()
      json.int(entry.range.lowerBound)
      json.int(entry.range.upperBound)
      json.endArray()
      json.key(plain: "xxh3")
      json.string((entry.xxh3 ?? Self.emptyDigest).hex)
      if hasSHA256 {
        json.key(plain: "sha256")
        json.string((entry.sha256 ?? Digest(.sha256, bytes: [])).hex)
      }
      if entry.requiresGrad {
        json.key(plain: "requires_grad")
        json.bool(true)
      }
      if let kind = entry.kind.text {
        json.key(plain: "kind")
        json.string(kind)
      }
      if let alias = entry.aliasOf {
        json.key(plain: "alias_of")
        json.string(alias)
      }
      json.endObject()
    }
    json.newline()
    json.endObject()
    return json.bytes
  }
}

// MARK: - Reading

extension Manifest {
  /// - Throws: `damaged` when the bytes are no manifest of this version or do not have the digest they claim.
  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    try Self.checkOwnDigest(bytes)
    // An entry takes 100 bytes or more; growing the array would copy all of them, and memory not used is not touched.
    entries.reserveCapacity(bytes.count / 100)
    var scanner = JSONScanner(bytes)
    var first = true
    try scanner.beginObject()
    while let key = try scanner.nextKey(of: Self.members, first: &first) {
      switch key {
      case 0:
        let version = try scanner.string()
        guard version.utf8.starts(with: "1.".utf8) else {
          throw CheckpointError(.unsupported, "the manifest has version \(version), this reader knows 1.x")
        }
      case 1: metadataDigest = try scanner.digest(.xxh3)
      case 2: fileSize = try scanner.int()
      case 3: try readTensors(&scanner)
      default: try scanner.skipValue()
      }
    }
    try scanner.end()
  }

  /// The digest is of the bytes with its own 32 digits as zeros.
  private static func checkOwnDigest(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    let start = head.utf8.count
    guard bytes.count > start + 32, bytes.starts(with: head.utf8) else {
      throw CheckpointError(.damaged, "does not begin as a manifest of version 1.0 does")
    }
    let claimed = String(decoding: bytes[start..<(start + 32)], as: UTF8.self)
    var hasher = try XXH3()
    hasher.update(UnsafeRawBufferPointer(rebasing: bytes[..<start]))
    Array(repeating: UInt8(0x30), count: 32).withUnsafeBytes { hasher.update($0) }
    hasher.update(UnsafeRawBufferPointer(rebasing: bytes[(start + 32)...]))
    let found = hasher.digest().hex
    guard found == claimed else {
      throw CheckpointError(.damaged, "the manifest's own digest is \(found), it claims \(claimed)")
    }
  }

  private mutating func readTensors(_ scanner: inout JSONScanner) throws(CheckpointError) {
    var first = true
    var types = DTypeCache()
    var group = ""
    try scanner.beginObject()
    while let link = try scanner.nextPath(first: &first, parent: &group) {
      entries.append(try Self.entry(group, link, &scanner, &types))
    }
  }

  private static func entry(
    _ group: String, _ link: String, _ scanner: inout JSONScanner, _ types: inout DTypeCache
  ) throws(CheckpointError) -> Entry {
    var dtype: DType?
    var shape: [Int] = []
    var range: Range<Int>?
    var (aliasOf, xxh3, sha256): (String?, Digest?, Digest?)
    var (kind, requiresGrad) = (Tensor.Kind.tensor, false)
    var first = true
    try scanner.beginObject()
    while let key = try scanner.nextKey(of: Self.entryMembers, first: &first) {
      switch key {
      case 0: dtype = try types.dtype(&scanner)
      case 1: shape = try integers(&scanner)
      case 2: range = try offsets(&scanner)
      case 3: xxh3 = try scanner.digest(.xxh3)
      case 4: sha256 = try scanner.digest(.sha256)
      case 5: requiresGrad = try scanner.bool()
      case 6: kind = try Tensor.Kind(text: try scanner.string())
      case 7: aliasOf = try scanner.string()
      default: try scanner.skipValue()
      }
    }
    guard let dtype, let range, dtype.byteCount(of: shape) == range.count, shape.count <= Vocabulary.maximumRank else {
      throw CheckpointError(
        .damaged, "dtype, shape and offsets do not agree", place: "manifest: \(Entry.path(group, link))")
    }
    return Entry(
      group: group, link: link, shape: shape, range: range, aliasOf: aliasOf, xxh3: xxh3, sha256: sha256, dtype: dtype,
      kind: kind, requiresGrad: requiresGrad)
  }

  private static func offsets(_ scanner: inout JSONScanner) throws(CheckpointError) -> Range<Int> {
    var first = true
    try scanner.beginArray()
    guard try scanner.nextElement(first: &first), case let begin = try scanner.int(),
      try scanner.nextElement(first: &first), case let end = try scanner.int(),
      try !scanner.nextElement(first: &first), begin >= 0, begin <= end
    else { throw scanner.failure("two offsets in order") }
    return begin..<end
  }

  private static func integers(_ scanner: inout JSONScanner) throws(CheckpointError) -> [Int] {
    var result: [Int] = []
    var first = true
    try scanner.beginArray()
    while try scanner.nextElement(first: &first) { result.append(try scanner.int()) }
    return result
  }

  /// Most entries have the element type of the one before.
  private struct DTypeCache {
    private var text = ""
    private var dtype = DType.float32

    mutating func dtype(_ scanner: inout JSONScanner) throws(CheckpointError) -> DType {
      let name = try scanner.string()
      if name.hasSameBytes(as: text) { return dtype }
      guard let known = DType(rawValue: name) else {
        throw CheckpointError(.unsupported, "the element type \"\(name)\" is not known")
      }
      (text, dtype) = (name, known)
      return known
    }
  }

  /// Checks that no two tensors overlap and that all lie in the file; gives the parts of the file between them. Parts
  /// shorter than the alignment are padding, which nobody reads: a block of HDF5's own begins at a multiple of it.
  ///
  /// - Parameter own: where the manifest itself lies.
  func gaps(in fileSize: Int, own: Range<Int>) throws(CheckpointError) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(entries.count + 1)
    for index in entries.indices where entries[index].aliasOf == nil && !entries[index].range.isEmpty {
      ranges.append(entries[index].range)
    }
    ranges.append(own)
    // They mostly are in order already.
    if zip(ranges, ranges.dropFirst()).contains(where: { $0.lowerBound > $1.lowerBound }) {
      ranges.sort { $0.lowerBound < $1.lowerBound }
    }
    var gaps: [Range<Int>] = []
    var end = 0
    for range in ranges {
      guard range.lowerBound >= end, range.upperBound <= fileSize else {
        throw CheckpointError(
          .damaged, "bytes \(range.lowerBound) to \(range.upperBound) overlap another tensor or leave the file",
          place: "manifest")
      }
      if range.lowerBound - end >= Self.alignment { gaps.append(end..<range.lowerBound) }
      end = range.upperBound
    }
    if end < fileSize { gaps.append(end..<fileSize) }
    return gaps
  }

  /// The digest of the file's bytes in `gaps`.
  static func metadataDigest(of file: MappedFile, gaps: [Range<Int>]) throws(CheckpointError) -> Digest {
    var hasher = try XXH3()
    for gap in gaps { hasher.update(UnsafeRawBufferPointer(rebasing: file.bytes[gap])) }
    return withExtendedLifetime(file) { hasher.digest() }
  }
}

extension Tensor.Kind {
  /// The text of the `kind` attribute; nil for a plain tensor, which has none.
  var text: String? {
    switch self {
    case .tensor: nil
    case .parameter: "parameter"
    case .buffer(persistent: true): "buffer"
    case .buffer(persistent: false): "buffer-not-persistent"
    }
  }

  init(text: String) throws(CheckpointError) {
    switch text {
    case "parameter": self = .parameter
    case "buffer": self = .buffer(persistent: true)
    case "buffer-not-persistent": self = .buffer(persistent: false)
    default: throw CheckpointError(.damaged, "\"\(text)\" is no kind of tensor")
    }
  }
}
