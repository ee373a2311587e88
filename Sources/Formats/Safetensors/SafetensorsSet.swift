import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Writes a set of safetensors files with an index, as Hugging Face's libraries name them: a folder with
/// `model-00001-of-00003.safetensors` and `model.safetensors.index.json`, or, where the output is called
/// `NAME.safetensors` or `NAME.safetensors.index.json`, such files beside each other. What fits into one file is one.
struct SafetensorsSet {
  static let suffix = ".safetensors"
  static let indexSuffix = ".safetensors.index.json"

  private let path: String
  private let limit: Int
  private let options: Format.WriteOptions

  init(_ path: String, limit: Int, _ options: Format.WriteOptions) {
    (self.path, self.limit, self.options) = (path, limit, options)
  }

  func write(_ root: Value) throws(CheckpointError) -> Format.Written {
    let isIndex = path.hasSuffix(Self.indexSuffix)
    let isFile = path.hasSuffix(Self.suffix)
    let flat = try SafetensorsPlan.flat(root)
    let shards = Self.split(flat.items, limit: limit)
    let isSet = shards.count > 1 || isIndex
    let plan = try SafetensorsPlan(root, flat, isSet: isSet, leavesRest: options.weightsAlone)
    guard isIndex || isFile else {
      let folder = try OutputFolder(path, replaces: options.replaces, isOurs: Self.isOurs)
      let bytes: Int
      do throws(CheckpointError) {
        bytes = try write(plan, isSet ? shards : nil, stem: "model", in: folder.temporaryPath)
      } catch {
        throw named(error, in: folder)
      }
      try folder.commit()
      return Format.Written(contentDigest: nil, warnings: plan.warnings, bytes: bytes)
    }
    let stem = String(path.utf8.dropLast((isIndex ? Self.indexSuffix : Self.suffix).utf8.count)) ?? path
    let bytes = try write(plan, isSet ? shards : nil, stem: lastComponent(of: stem), in: parentFolder(of: path))
    return Format.Written(
      contentDigest: nil, warnings: plan.warnings, bytes: bytes, path: isSet ? stem + Self.indexSuffix : nil)
  }

  /// An error with the name that a file of the folder was to have.
  private func named(_ error: CheckpointError, in folder: OutputFolder) -> CheckpointError {
    guard let file = error.file, file.utf8.starts(with: folder.temporaryPath.utf8) else { return error }
    var copy = error
    copy.file = "\(path)/\(lastComponent(of: file))"
    return copy
  }

  /// Writes all files under temporary names, then gives them theirs, the index last: without it there is no set.
  ///
  /// - Parameter shards: nil for a single file.
  /// - Returns: bytes of all files.
  private func write(
    _ plan: SafetensorsPlan, _ shards: [[FlatCheckpoint.Item]]?, stem: String, in folder: String
  ) throws(CheckpointError) -> Int {
    guard let shards else {
      let target = "\(folder)/\(stem)\(Self.suffix)"
      try SafetensorsFile.write(plan, to: target, options)
      return try FileStart(target).size
    }
    let index = "\(folder)/\(stem)\(Self.indexSuffix)"
    let single = "\(folder)/\(stem)\(Self.suffix)"
    for other in [index, single] { try refuseExisting(other) }
    let old = options.replaces ? Self.files(of: index) : []
    let names = Self.names(stem, shards.count)
    var outputs: [OutputFile] = []
    for (name, file) in zip(names, plan.files(shards)) {
      let writer = try SafetensorsWriter(file, to: "\(folder)/\(name)", options)
      try writer.writeHeader(file)
      outputs.append(writer.output)
    }
    var plan = plan
    try plan.takeDigest()
    let text = Self.index(plan, shards, names)
    let last = try OutputFile(index, replaces: options.replaces)
    _ = try ParallelWriter().write([WriteJob(source: BufferSource(text), offset: 0)], to: last)
    for output in outputs { try output.commit(syncingFolder: false) }
    try last.commit()
    // What the set replaces must go: readers would take the one file for the model still, and the rest is in the way.
    if options.replaces { unlink(single) }
    for name in old where name.hasPrefix("\(stem)-") && !names.contains(name) { unlink("\(folder)/\(name)") }
    var bytes = text.count
    for name in names { bytes += try FileStart("\(folder)/\(name)").size }
    return bytes
  }

  /// The files that an index names, all of them beside it.
  private static func files(of index: String) -> [String] {
    guard access(index, F_OK) == 0, let folder = try? PartsFolder(parentFolder(of: index)),
      let known = try? WeightIndex(lastComponent(of: index), in: folder)
    else { return [] }
    return known.files.filter { !$0.utf8.contains(0x2F) }
  }

  private func refuseExisting(_ index: String) throws(CheckpointError) {
    guard !options.replaces, access(index, F_OK) == 0 else { return }
    throw CheckpointError(
      .cannotCreate, "exists already", file: index, advice: "Choose another name, or add --overwrite to replace it.")
  }

  /// Files of which each is at most `limit` bytes, a larger tensor aside, in the order and by the rule of
  /// `huggingface_hub`: such a tensor has a file of its own, and any other begins one where it does not fit.
  static func split(_ items: [FlatCheckpoint.Item], limit: Int) -> [[FlatCheckpoint.Item]] {
    var shards: [[FlatCheckpoint.Item]] = []
    var current: [FlatCheckpoint.Item] = []
    var size = 0
    for item in items {
      let bytes = item.tensor.byteCount
      if bytes > limit {
        shards.append([item])
        continue
      }
      if bytes + size > limit {
        shards.append(current)
        (current, size) = ([], 0)
      }
      current.append(item)
      size += bytes
    }
    if !current.isEmpty || shards.isEmpty { shards.append(current) }
    return shards
  }

  private static func names(_ stem: String, _ count: Int) -> [String] {
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(5 - digits.utf8.count, 0)) + digits
    }
    return (1...count).map { "\(stem)-\(padded($0))-of-\(padded(count))\(suffix)" }
  }

  /// The index's text, laid out as `huggingface_hub` does. What makes a whole checkpoint of the set
  /// comes last: an index is known by its beginning.
  private static func index(_ plan: SafetensorsPlan, _ shards: [[FlatCheckpoint.Item]], _ names: [String]) -> [UInt8] {
    var json = JSONWriter(spaced: true)
    json.beginObject()
    if plan.rest == nil { writeMetadata(plan, shards, &json) }
    json.newline(indent: 2)
    json.key("weight_map")
    json.beginObject()
    for (shard, name) in zip(shards, names) {
      for item in shard {
        json.newline(indent: 4)
        json.key(item.name)
        json.string(name)
      }
    }
    json.newline(indent: 2)
    json.endObject()
    if plan.rest != nil { writeMetadata(plan, shards, &json) }
    json.newline()
    json.endObject()
    return json.bytes
  }

  private static func writeMetadata(
    _ plan: SafetensorsPlan, _ shards: [[FlatCheckpoint.Item]], _ json: inout JSONWriter
  ) {
    json.newline(indent: 2)
    json.key("metadata")
    json.beginObject()
    json.newline(indent: 4)
    json.key("total_size")
    json.int(shards.joined().reduce(0) { $0 + $1.tensor.byteCount })
    if let rest = plan.rest {
      json.newline(indent: 4)
      json.key(FlatCheckpoint.key)
      json.string(rest)
    }
    json.newline(indent: 2)
    json.endObject()
  }

  /// Whether a file may go when the folder that it is in is replaced.
  private static func isOurs(_ name: String) -> Bool {
    name.hasPrefix("model") && (name.hasSuffix(suffix) || name.hasSuffix(indexSuffix))
  }
}
