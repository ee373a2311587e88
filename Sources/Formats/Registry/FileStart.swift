public import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The beginning of a file, by which it is recognised. Names are never looked at.
public struct FileStart: Sendable {
  public let path: String
  public let isFolder: Bool
  /// Size of the file; 0 for a folder.
  public let size: Int
  /// The first 4096 bytes, or as many as there are.
  public let bytes: [UInt8]

  static let limit = 4096

  /// - Throws: `missing` when there is no such file, `inputOutput` when it cannot be read.
  public init(_ path: String) throws(CheckpointError) {
    self.path = path
    let descriptor = path.utf8.contains(0) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let isMissing = errno == ENOENT || errno == ENOTDIR
      throw CheckpointError(
        isMissing ? .missing : .inputOutput, isMissing ? "no such file" : "cannot open: \(systemMessage(errno))",
        file: path, advice: isMissing ? "Check the name and the folder." : "Check that you may read it.")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw CheckpointError(.inputOutput, "cannot look at it: \(systemMessage(errno))", file: path)
    }
    isFolder = status.st_mode & S_IFMT == S_IFDIR
    guard isFolder || status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(
        .unsupported, "is a device or a pipe; expected a file", file: path,
        advice: "Write it to a file first: its parts are not read in order.")
    }
    size = isFolder ? 0 : Int(status.st_size)
    bytes = isFolder ? [] : try Self.read(descriptor, path)
  }

  /// For tests: a file that is not there.
  init(bytes: [UInt8], path: String = "file") {
    (self.path, self.bytes) = (path, bytes)
    (isFolder, size) = (false, bytes.count)
  }

  private static func read(_ descriptor: Int32, _ path: String) throws(CheckpointError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      while count < limit {
        guard let start = buffer.baseAddress else { return }
        let got = pread(descriptor, start + count, limit - count, off_t(count))
        if got < 0, errno == EINTR { continue }
        if got < 0 { failure = errno }
        if got <= 0 { return }
        count += got
      }
    }
    guard failure == 0 else {
      throw CheckpointError(.inputOutput, "cannot read: \(systemMessage(failure))", file: path)
    }
    return bytes
  }

  public func starts(with prefix: some Collection<UInt8>) -> Bool { bytes.starts(with: prefix) }

  /// Whether `text` stands somewhere in the bytes.
  func contains(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard count > 0, bytes.count >= count else { return false }
    return text.withUTF8Buffer { wanted in
      (0...(bytes.count - count)).contains { at in
        bytes[at] == wanted[0] && bytes[at..<(at + count)].elementsEqual(wanted)
      }
    }
  }

  /// The name of a zip archive's first record; nil where the bytes start no such archive.
  var firstZipName: String? {
    guard starts(with: [0x50, 0x4B, 0x03, 0x04]), bytes.count >= 30 else { return nil }
    let length = Int(bytes[26]) | Int(bytes[27]) << 8
    return String(decoding: bytes.dropFirst(30).prefix(length), as: UTF8.self)
  }

  /// The size of the file, or of all files in the folder.
  public var totalSize: Int {
    guard isFolder else { return size }
    var total = 0
    for name in PartsFolder.names(in: path) ?? [] {
      var status = stat()
      if lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG { total += Int(status.st_size) }
    }
    return total
  }

  /// Whether the folder has an entry of this name.
  func hasEntry(_ name: String) -> Bool { isFolder && access("\(path)/\(name)", F_OK) == 0 }
}
