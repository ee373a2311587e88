#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// The few looks at a file that need no libhdf5, and tell the cause of a failure better than it does.
enum SystemFile {
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// The first bytes of the file, at most as many as the signature has, or the error number.
  static func start(of path: String) -> Result<[UInt8], SystemError> {
    // Not blocking, since a named pipe would otherwise wait for its writer for ever.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return .failure(SystemError(number: errno)) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: signature.count)
    let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 else { return .failure(SystemError(number: errno)) }
    return .success(Array(bytes.prefix(count)))
  }

  static func exists(_ path: String) -> Bool {
    access(path, F_OK) == 0
  }
}

struct SystemError: Error {
  var number: Int32

  var text: String {
    strerror(number).map { String(cString: $0) } ?? "error \(number)"
  }
}

extension HDF5Error.Kind {
  init(systemError number: Int32) {
    switch number {
    case ENOENT, ENOTDIR: self = .notFound
    case ENOSPC, EDQUOT, EFBIG: self = .noSpace
    case EEXIST: self = .exists
    default: self = .inputOutput
    }
  }
}
