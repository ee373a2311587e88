#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A whole file mapped read-only. The pages are the file's own: they cost no private memory.
///
/// The mapping lives as long as any `MappedRange` of it. A file that another process shortens meanwhile is outside what
/// a mapping can survive; checkpoints are replaced by rename, which leaves a mapping whole.
public final class MappedFile: Sendable {
  /// The path as it was given.
  public let path: String
  /// The size in bytes when it was opened.
  public let count: Int
  /// Address of the first byte; 0 for an empty file. Kept as a number so that the class is `Sendable`.
  private let address: UInt

  /// - Throws: `missing` when there is no such file, `unsupported` for what is no regular file, `inputOutput` else.
  public init(_ path: String) throws(CheckpointError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      let code: CheckpointError.Code = errno == ENOENT || errno == ENOTDIR ? .missing : .inputOutput
      throw CheckpointError(code, "cannot open: \(systemMessage(errno))", file: path)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw CheckpointError(.inputOutput, "cannot stat: \(systemMessage(errno))", file: path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(.unsupported, "is a folder or a device; expected a file", file: path)
    }
    let size = Int(status.st_size)
    if size > 0 {
      let start = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0)
      guard let start, start != MAP_FAILED else {
        throw CheckpointError(.inputOutput, "cannot map: \(systemMessage(errno))", file: path)
      }
      address = UInt(bitPattern: start)
    } else {
      address = 0
    }
    self.path = path
    self.count = size
  }

  deinit {
    if address != 0 { munmap(UnsafeMutableRawPointer(bitPattern: address), count) }
  }

  /// The whole file. Valid while this object lives: use it inside a call that keeps the object.
  public var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count)
  }
}

/// A range of a mapped file.
public final class MappedRange: ByteSource {
  /// The file, and where in it the bytes lie.
  public let file: MappedFile
  public let range: Range<Int>

  /// - Throws: `damaged` when the range leaves the file.
  public init(_ file: MappedFile, range: Range<Int>) throws(CheckpointError) {
    guard range.lowerBound >= 0, range.upperBound <= file.count else {
      throw CheckpointError(
        .damaged, "bytes \(range.lowerBound) to \(range.upperBound) lie outside the file of \(file.count) bytes",
        file: file.path, advice: "The file may have been cut short; compare its size with the original's.")
    }
    self.file = file
    self.range = range
  }

  public var byteCount: Int { range.count }

  public func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
  }
}

/// The system's words for an `errno`.
public func systemMessage(_ code: Int32) -> String {
  strerror(code).map { String(cString: $0) } ?? "error \(code)"
}
