import Checkpoint

/// The files of one model: one, or those of a split set, which lie in one folder as `NAME-00001-of-00003.gguf`.
struct GGUFSet {
  /// A file, and what stands in its header.
  struct Part {
    let file: MappedFile
    let header: GGUFHeader

    init(_ path: String) throws(CheckpointError) {
      // A name that a set asks for may be a pipe, which must not be waited for.
      _ = try FileStart(path)
      file = try MappedFile(path)
      header = try GGUFHeader(file)
    }
  }

  let parts: [Part]

  /// Bytes of all files.
  var bytes: Int { parts.reduce(0) { $0 + $1.file.count } }
  /// The version of the format that the first file has.
  var version: String { parts.first.map { String($0.header.version) } ?? "" }

  /// Opens a file, and the others of its set where it is one of several.
  ///
  /// - Parameter path: a file, or a folder that holds one set.
  /// - Throws: `damaged` for a set whose files are missing or contradict each other, with the file's name.
  init(_ path: String) throws(CheckpointError) {
    var path = path
    if let first = Self.first(in: path) { path += "/\(first)" }
    let named = try Part(path)
    guard let count = try named.number(GGUF.splitCount), count > 1 else {
      parts = [named]
      return
    }
    let name = try Self.name(of: named, count)
    var parts: [Part] = []
    for number in 1...count {
      if number == name.number { parts.append(named) } else { parts.append(try Self.part(name, number, path)) }
    }
    self.parts = parts
    try check(count)
  }

  // MARK: - Names

  /// `NAME-00001-of-00003.gguf`
  private struct Name: Equatable {
    var stem: Substring
    var number: Int
    var count: Int

    init?(_ name: String) {
      let fields = name.split(separator: "-", omittingEmptySubsequences: false)
      guard fields.count >= 4, fields[fields.count - 2] == "of", let last = fields.last, last.hasSuffix(".gguf"),
        let number = Self.digits(fields[fields.count - 3]), let count = Self.digits(last.dropLast(5)),
        number >= 1, number <= count
      else { return nil }
      let tail = fields.suffix(3).reduce(3) { $0 + $1.utf8.count }
      (stem, self.number, self.count) = (Substring(name.utf8.dropLast(tail)), number, count)
    }

    private static func digits(_ text: Substring) -> Int? {
      text.utf8.count >= 5 && text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) ? Int(text) : nil
    }

    func with(_ number: Int) -> String {
      let texts = [number, count].map { value in
        let text = String(value)
        return String(repeating: "0", count: max(5 - text.utf8.count, 0)) + text
      }
      return "\(stem)-\(texts[0])-of-\(texts[1]).gguf"
    }
  }

  /// The first file of the one set that a folder holds; nil where it holds none or several.
  static func first(in folder: String) -> String? {
    let names = (PartsFolder.names(in: folder) ?? []).compactMap(Name.init)
    guard let first = names.first, names.allSatisfy({ $0.stem.elementsEqual(first.stem) && $0.count == first.count })
    else { return nil }
    return names.min { $0.number < $1.number }.map { $0.with($0.number) }
  }

  private static func name(of part: Part, _ count: Int) throws(CheckpointError) -> Name {
    let index = try part.number(GGUF.splitNumber) ?? 0
    guard let name = Name(lastComponent(of: part.file.path)) else {
      throw CheckpointError(
        .damaged, "is part \(index + 1) of \(count) of a split model, and its name does not say which the others are",
        file: part.file.path, advice: "Name the files as llama.cpp does: NAME-00001-of-00003.gguf.")
    }
    try part.check(number: name.number, count: name.count)
    return name
  }

  private static func part(_ name: Name, _ number: Int, _ path: String) throws(CheckpointError) -> Part {
    let file = name.with(number)
    let part: Part
    do throws(CheckpointError) {
      part = try Part("\(parentFolder(of: path))/\(file)")
    } catch  where error.code == .missing {
      throw CheckpointError(
        .damaged, "is one of \(name.count) files; '\(file)' is missing", file: path,
        advice: "All files of the set must lie in one folder.")
    }
    try part.check(number: number, count: name.count)
    return part
  }

  // MARK: - The set

  /// No tensor twice, and as many in all as each file says.
  private func check(_ count: Int) throws(CheckpointError) {
    let total = parts.reduce(0) { $0 + $1.header.entries.count }
    var owners: [Key: Int] = [:]
    for (index, part) in parts.enumerated() {
      if let claimed = try part.number(GGUF.splitTensors), claimed != total {
        throw CheckpointError(
          .damaged, "says that the set has \(claimed) tensors; its \(count) files have \(total)",
          file: part.file.path, place: "key '\(GGUF.splitTensors)'", advice: "The files may be of different sets.")
      }
      for entry in part.header.entries {
        guard let owner = owners.updateValue(index, forKey: .string(entry.name)) else { continue }
        throw CheckpointError(
          .damaged, "is in '\(lastComponent(of: parts[owner].file.path))' too", file: part.file.path,
          place: "tensor '\(entry.name)'", advice: "The files may be of different sets.")
      }
    }
  }

  /// What the files hold, before it is made a tree.
  struct Model {
    var tensors: Dict
    var metadata: Dict
    var warnings: [String]

    /// The text that makes a whole checkpoint of them, where the file has one.
    var rest: [UInt8]? {
      if case .string(let text)? = metadata[FlatCheckpoint.key] { Array(text.utf8) } else { nil }
    }

    func whole(_ rest: [UInt8]) throws(CheckpointError) -> Checkpoint {
      if let entry = tensors.entries.first(where: { BlockTensor($0.value) != nil }) {
        throw CheckpointError(.damaged, "does not tell of the quantised tensor '\(entry.key.text)' that the file has")
      }
      var whole = try FlatTree.checkpoint(tensors.tensors, rest: rest)
      whole.warnings = warnings
      return whole
    }
  }

  func checkpoint(dequantizes: Bool) throws(CheckpointError) -> Checkpoint {
    var model = try model(dequantizes: dequantizes)
    if let rest = model.rest {
      do throws(CheckpointError) {
        return try model.whole(rest)
      } catch {
        model.warnings.append(FlatTree.warning(error))
      }
    }
    let root = Dict([
      Dict.Entry(.string(GGUF.tensors), .dict(model.tensors)),
      Dict.Entry(.string(GGUF.metadata), .dict(model.metadata)),
    ])
    return Checkpoint(root: .dict(root), warnings: model.warnings)
  }

  func model(dequantizes: Bool) throws(CheckpointError) -> Model {
    var tensors: [Dict.Entry] = []
    tensors.reserveCapacity(parts.reduce(0) { $0 + $1.header.entries.count })
    var warnings: [String] = []
    var kept: [String: Int] = [:]
    for part in parts {
      for entry in part.header.entries {
        let value = try part.value(of: entry, dequantizes: dequantizes)
        if dequantizes, case .record = value { kept[entry.type.name, default: 0] += 1 }
        tensors.append(Dict.Entry(.string(entry.name), value))
      }
      warnings += part.header.warnings.map {
        parts.count == 1 ? $0 : "\(lastComponent(of: part.file.path)): \($0)"
      }
    }
    for (type, count) in kept.sorted(by: { $0.key < $1.key }) {
      let what = count == 1 ? "1 tensor of type \(type) stays" : "\(count) tensors of type \(type) stay"
      warnings.append("\(what) as blocks: there is no decoder for it")
    }
    return Model(tensors: Dict(tensors), metadata: try metadata(), warnings: warnings)
  }

  /// Values by key, with the widths of the numbers beside them. Of a set, those of all its files, but not the ones that
  /// say how it is split.
  private func metadata() throws(CheckpointError) -> Dict {
    var (values, types): ([Dict.Entry], [Dict.Entry]) = ([], [])
    var known: [Key: (part: Part, range: Range<Int>)] = [:]
    for part in parts {
      for pair in part.header.pairs {
        if parts.count > 1, GGUF.isSplit(pair.key) { continue }
        if let other = known[.string(pair.key)] {
          // Each file has its own alignment.
          guard pair.key.hasSameBytes(as: GGUF.alignment) || part.has(pair.range, as: other.part, other.range) else {
            throw CheckpointError(
              .damaged, "differs from that in '\(lastComponent(of: other.part.file.path))'", file: part.file.path,
              place: "key '\(pair.key)'", advice: "The files may be of different sets.")
          }
          continue
        }
        known[.string(pair.key)] = (part, pair.range)
        values.append(Dict.Entry(.string(pair.key), pair.value))
        if pair.type.isNumber { types.append(Dict.Entry(.string(pair.key), .string(pair.type.name))) }
      }
    }
    return Dict(values, attributes: [Record.Field(GGUF.types, .dict(Dict(types)))])
  }
}

extension GGUFSet.Part {
  /// A count of the metadata; nil where there is none.
  ///
  /// - Throws: `damaged` for what is no small number.
  fileprivate func number(_ key: String) throws(CheckpointError) -> Int? {
    guard let pair = header.pairs.first(where: { $0.key.hasSameBytes(as: key) }) else { return nil }
    guard case .int(let number) = pair.value, number >= 0, number <= 1 << 31 else {
      throw CheckpointError(.damaged, "must be a small number", file: file.path, place: "key '\(key)'")
    }
    return Int(number)
  }

  /// Whether the file is the one that its name says.
  fileprivate func check(number: Int, count: Int) throws(CheckpointError) {
    let index = try self.number(GGUF.splitNumber)
    let total = try self.number(GGUF.splitCount)
    guard index == number - 1, total == count else {
      let found = "part \(index.map { String($0 + 1) } ?? "?") of \(total.map(String.init) ?? "?")"
      throw CheckpointError(
        .damaged, "its name says part \(number) of \(count), its metadata \(found)", file: file.path,
        advice: "The file may have been renamed, or be of another set.")
    }
  }

  /// Whether a value is stored with the same bytes in another file.
  fileprivate func has(_ range: Range<Int>, as other: GGUFSet.Part, _ otherRange: Range<Int>) -> Bool {
    defer { withExtendedLifetime((file, other.file)) {} }
    return file.bytes[range].elementsEqual(other.file.bytes[otherRange])
  }

  fileprivate func value(of entry: GGUFHeader.Entry, dequantizes: Bool) throws(CheckpointError) -> Value {
    do throws(CheckpointError) {
      return try entry.value(in: file, dequantizes: dequantizes)
    } catch {
      throw error.at("tensor '\(entry.name)'").inFile(file.path)
    }
  }
}

extension GGUF {
  static func isSplit(_ key: String) -> Bool {
    [splitNumber, splitCount, splitTensors].contains { $0.hasSameBytes(as: key) }
  }
}
