import Checkpoint
import Synchronization

/// Where a model's external data lie: files in its own folder. Whatever the model says, no other file is opened.
final class ONNXFolder: Sendable {
  private struct State {
    var folder: PartsFolder?
    var files: [Key: MappedFile] = [:]
    /// SHA-1 in hexadecimal, by location.
    var checksums: [Key: String] = [:]
  }

  private let path: String
  private let state = Mutex(State())

  /// - Parameter model: the model's path.
  init(model: String) {
    let slash = model.utf8.lastIndex(of: 0x2F)
    path = slash.map { $0 == model.startIndex ? "/" : String(model[..<$0]) } ?? "."
  }

  /// The bytes that a tensor's entries tell of.
  ///
  /// - Throws: `damaged` for a file that is missing, outside of the folder or too short, and for any other number of
  ///   bytes than the tensor takes.
  func source(
    _ entries: [(key: String, value: String)], byteCount: Int
  ) throws(CheckpointError) -> any ByteSource {
    let known = try Self.known(entries)
    guard let location = known["location"] else { throw CheckpointError(.damaged, "external data without a location") }
    let offset = try Self.number(known["offset"], "offset") ?? 0
    let file = try file(location)
    guard offset <= file.count else {
      throw CheckpointError(
        .damaged, "external data at \(offset) of '\(location)', which has \(file.count) bytes", advice: Self.advice)
    }
    let length = try Self.number(known["length"], "length") ?? (file.count - offset)
    guard length == byteCount else {
      throw CheckpointError(
        .damaged, "external data of \(length) bytes for a tensor that takes \(byteCount)", advice: Self.advice)
    }
    guard length <= file.count - offset else {
      throw CheckpointError(
        .damaged, "external data of \(length) bytes at \(offset) of '\(location)', which has \(file.count) bytes",
        advice: Self.advice)
    }
    if let checksum = known["checksum"] { try note(checksum, location) }
    return try MappedRange(file, range: offset..<(offset + length))
  }

  private static let advice =
    "The file may have been cut short, or belong to another model; compare with the original's."

  /// How many files the tensors lie in.
  var fileCount: Int { state.withLock { $0.files.count } }

  var totalSize: Int { state.withLock { $0.files.values.reduce(0) { $0 + $1.count } } }

  /// Holds each file against the SHA-1 that tensors give of it.
  ///
  /// - Returns: the files that were checked.
  /// - Throws: `damaged` where one differs.
  func checkSums() throws(CheckpointError) -> [String] {
    let (files, sums) = state.withLock { ($0.files, $0.checksums) }
    var checked: [String] = []
    for (location, expected) in sums.sorted(by: { $0.key.text.utf8.lexicographicallyPrecedes($1.key.text.utf8) }) {
      guard let file = files[location] else { continue }
      let found = withExtendedLifetime(file) { SHA1.text(of: file.bytes) }
      guard found == expected else {
        throw CheckpointError(
          .damaged, "the SHA-1 is \(found), the model records \(expected)", place: "external data '\(location.text)'")
      }
      checked.append(location.text)
    }
    return checked
  }

  private func note(_ checksum: String, _ location: String) throws(CheckpointError) {
    let text = checksum.lowercased()
    let known = state.withLock { state in
      if state.checksums[.string(location)] == nil { state.checksums[.string(location)] = text }
      return state.checksums[.string(location)]
    }
    guard known == text else { throw CheckpointError(.damaged, "two checksums of '\(location)'") }
  }

  private func file(_ location: String) throws(CheckpointError) -> MappedFile {
    // PyTorch's exporter has written it so.
    let name = location.utf8.starts(with: "./".utf8) ? String(location.dropFirst(2)) : location
    let key = Key.string(location)
    let result: Result<MappedFile, CheckpointError> = state.withLock { (state) -> Result<MappedFile, CheckpointError> in
      if let known = state.files[key] { return .success(known) }
      do throws(CheckpointError) {
        let folder: PartsFolder
        if let known = state.folder { folder = known } else { folder = try PartsFolder(path) }
        state.folder = folder
        let file = try folder.map(name)
        state.files[key] = file
        return .success(file)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private static func known(_ entries: [(key: String, value: String)]) throws(CheckpointError) -> [String: String] {
    var known: [String: String] = [:]
    for (key, value) in entries where ["location", "offset", "length", "checksum"].contains(key) {
      guard known.updateValue(value, forKey: key) == nil else {
        throw CheckpointError(.damaged, "external data with two entries '\(key)'")
      }
    }
    return known
  }

  private static func number(_ text: String?, _ what: String) throws(CheckpointError) -> Int? {
    guard let text else { return nil }
    guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(text) else {
      throw CheckpointError(.damaged, "external data with the \(what) '\(text.prefix(40))'")
    }
    return number
  }
}
