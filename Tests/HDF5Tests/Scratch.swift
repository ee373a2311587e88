import HDF5

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A folder for the files of one test, removed with the object.
final class Scratch: Sendable {
  let folder: String

  init() throws {
    var template = Array("/tmp/ckpt-hdf5-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ScratchError(reason: "mkdtemp failed") }
    folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    guard let entries = opendir(folder) else { return }
    while let entry = readdir(entries) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      unlink("\(folder)/\(name)")
    }
    closedir(entries)
    rmdir(folder)
  }

  func path(_ name: String = "a.h5") -> String { "\(folder)/\(name)" }
}

struct ScratchError: Error {
  var reason: String
}

func readFile(_ path: String) throws -> [UInt8] {
  guard let file = fopen(path, "rb") else { throw ScratchError(reason: "cannot open \(path)") }
  defer { fclose(file) }
  fseek(file, 0, SEEK_END)
  var bytes = [UInt8](repeating: 0, count: ftell(file))
  rewind(file)
  let count = bytes.withUnsafeMutableBytes { fread($0.baseAddress, 1, $0.count, file) }
  guard count == bytes.count else { throw ScratchError(reason: "short read of \(path)") }
  return bytes
}

func writeFile(_ path: String, _ bytes: some Collection<UInt8>) throws {
  guard let file = fopen(path, "wb") else { throw ScratchError(reason: "cannot create \(path)") }
  defer { fclose(file) }
  let array = Array(bytes)
  guard array.withUnsafeBytes({ fwrite($0.baseAddress, 1, $0.count, file) }) == array.count else {
    throw ScratchError(reason: "short write of \(path)")
  }
}

/// Runs `body`, which must fail with an `HDF5Error`, and returns that.
func failure(_ body: () throws(HDF5Error) -> Void) throws -> HDF5Error {
  do throws(HDF5Error) {
    try body()
  } catch {
    return error
  }
  throw ScratchError(reason: "it did not fail")
}

extension Dataset {
  func readAll() throws -> [UInt8] {
    guard let count = try shape.byteCount(elementBytes: try type.byteCount) else {
      throw ScratchError(reason: "too large")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    let result = bytes.withUnsafeMutableBytes { buffer in
      Result { () throws(HDF5Error) in try read(into: buffer) }
    }
    try result.get()
    return bytes
  }

  func write<T: BitwiseCopyable>(_ values: [T]) throws {
    try values.withUnsafeBytes { bytes in Result { () throws(HDF5Error) in try write(bytes) } }.get()
  }
}

/// Runs `body` on a thread that has not called anything before, and waits for it.
func onFreshThread(_ body: @escaping () -> Void) {
  final class Box {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }
  let context = Unmanaged.passRetained(Box(body)).toOpaque()
  #if canImport(Darwin)
    var thread: pthread_t?
    pthread_create(
      &thread, nil,
      {
        Unmanaged<Box>.fromOpaque($0).takeRetainedValue().body(); return nil
      }, context)
    if let thread { pthread_join(thread, nil) }
  #else
    var thread = pthread_t()
    let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
      if let context { Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body() }
      return nil
    }
    pthread_create(&thread, nil, main, context)
    pthread_join(thread, nil)
  #endif
}
