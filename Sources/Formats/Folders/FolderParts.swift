import Checkpoint

/// Puts a checkpoint together from the files of a folder, and notes which of them were taken.
struct FolderParts {
  let folder: PartsFolder
  private let options: Format.ReadOptions
  private(set) var entries: [Dict.Entry] = []
  private(set) var warnings: [String] = []
  /// Bytes of all files that were taken.
  private(set) var bytes = 0
  /// The content digest that the set of files records, where ckpt wrote it.
  var recordedDigest: String?
  private var taken: Set<Key> = []

  /// JSON files are settings and histories.
  private static let jsonLimit = 256 << 20

  init(_ path: String, _ options: Format.ReadOptions) throws(CheckpointError) {
    folder = try PartsFolder(path)
    self.options = options
  }

  /// Adds an entry; the first of a key counts.
  mutating func add(_ key: String, _ value: Value) {
    guard !entries.contains(where: { $0.key == .string(key) }) else {
      return warn("the folder has '\(key)' more than once; the first was taken")
    }
    entries.append(Dict.Entry(.string(key), value))
  }

  /// A checkpoint file of the folder, whatever its format.
  mutating func checkpoint(_ name: String) throws(CheckpointError) -> Value {
    // Before anything is read of it: it must be a file, and in the folder.
    _ = try folder.map(name)
    let path = "\(folder.path)/\(name)"
    // An index is no part of a checkpoint: it could name itself.
    guard !WeightFolder.isIndex(try FileStart(path)) else {
      throw CheckpointError(.damaged, "is an index of other files where tensors are due", file: path)
    }
    return try opened(path, name)
  }

  /// A distributed checkpoint below the folder. What lies in it under one key alone is meant by that.
  mutating func distributed(_ name: String) throws(CheckpointError) -> Value {
    try folder.checkBelow(name)
    let value = try opened("\(folder.path)/\(name)", name)
    if case .dict(let dict) = value, dict.count == 1, let only = dict.entries.first { return only.value }
    return value
  }

  private mutating func opened(_ path: String, _ name: String) throws(CheckpointError) -> Value {
    do throws(CheckpointError) {
      let found = try Format.input(path).read(path, options)
      take(name, bytes: found.bytes)
      warnings += found.checkpoint.warnings.map { "\(name): \($0)" }
      return found.checkpoint.root
    } catch {
      throw error.inFile(path)
    }
  }

  /// A JSON file of the folder.
  mutating func json(_ name: String) throws(CheckpointError) -> Value {
    let file = try folder.map(name)
    defer { withExtendedLifetime(file) {} }
    guard file.count <= Self.jsonLimit else {
      throw CheckpointError(
        .unsupported, "\(file.count) bytes of JSON; at most \(Self.jsonLimit) are read", file: file.path)
    }
    take(name, bytes: file.count)
    do throws(CheckpointError) { return try JSONTree.value(file.bytes) } catch { throw error.inFile(file.path) }
  }

  mutating func take(_ name: String, bytes: Int) {
    if taken.insert(.string(name)).inserted { self.bytes += bytes }
  }

  mutating func warn(_ text: String) { warnings.append(text) }

  /// Adds an entry for a file that may be there.
  mutating func addIfThere(_ key: String, _ name: String) throws(CheckpointError) {
    if folder.has(name) { add(key, try checkpoint(name)) }
  }

  /// DeepSpeed's states below the folder, which `latest` names: what nothing else gave of `model` and `optimizer`, and
  /// the rest of them, with their `training` as `deepspeed`.
  mutating func addDeepSpeed() throws(CheckpointError) {
    guard folder.has("latest"), let start = try? FileStart(folder.path),
      let format = [Format.deepSpeedUniversal, .deepSpeed].first(where: { $0.recognises(start) })
    else { return }
    let file = try folder.map("latest")
    let step = withExtendedLifetime(file) {
      String(decoding: file.bytes.prefix(1024).filter { $0 > 0x20 }, as: UTF8.self)
    }
    let found = try format.read(folder.path, options)
    take("latest", bytes: found.bytes)
    take(step, bytes: 0)
    warnings += found.checkpoint.warnings
    guard case .dict(let dict) = found.checkpoint.root else { return }
    let known = Set(entries.map(\.key))
    for entry in dict.entries {
      let isTraining = entry.key == .string("training")
      if isTraining || !known.contains(entry.key) {
        entries.append(Dict.Entry(isTraining ? .string("deepspeed") : entry.key, entry.value))
      } else {
        warn("'\(entry.key.text)' of DeepSpeed was left out: the folder has it in a file of its own")
      }
    }
  }

  /// The names that are a beginning, a number and an end, by the number.
  func numbered(_ prefix: String, _ suffix: String) -> [(number: Int, name: String)] {
    let found = folder.names.compactMap { name -> (number: Int, name: String)? in
      guard name.hasPrefix(prefix), name.hasSuffix(suffix), name.utf8.count > prefix.utf8.count + suffix.utf8.count,
        let number = Int(name.dropFirst(prefix.count).dropLast(suffix.count)), number >= 0
      else { return nil }
      return (number, name)
    }
    return found.sorted { $0.number < $1.number }
  }

  /// What was put together. No file is passed over in silence.
  func result() -> Checkpoint {
    let others = folder.names.filter { !taken.contains(.string($0)) && !$0.hasPrefix(".") }
    var warnings = warnings
    if !others.isEmpty {
      warnings.append("not taken from the folder: \(listed(others))")
    }
    return Checkpoint(root: .dict(Dict(entries)), warnings: warnings)
  }
}
