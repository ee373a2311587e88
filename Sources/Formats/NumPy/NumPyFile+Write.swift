import Checkpoint

extension NumPyFile {
  /// Writes a tree as `np.savez` would: an array a tensor, stored, in the tree's order, and where names and tensors do
  /// not say all of it the rest as `ckpt.training`. Data begins at multiples of 64 bytes, so that it can be mapped.
  ///
  /// - Throws: `cannotCreate`, `inputOutput`, `unsupported` for what no archive holds, and what a source throws.
  static func writeArchive(
    _ root: Value, to path: String, _ options: Format.WriteOptions
  ) throws(CheckpointError) -> Format.Written {
    let flat = try FlatCheckpoint(root, keepsTies: true, carry: carried, named: recordName)
    let rest = options.weightsAlone || flat.saysAll(of: root) ? nil : try flat.rest()
    if let rest, rest.count > NumPyType.maximumTextSize {
      throw CheckpointError(
        .unsupported,
        "all that is no tensor takes \(rest.count) bytes; NumPy's text holds \(NumPyType.maximumTextSize)",
        advice: "Write an .h5, or the weights alone with --model-only.")
    }
    var sources: [NumPyArraySource] = []
    var layout = ZipLayout()
    for item in flat.items {
      sources.append(try NumPyArraySource(item.tensor))
      try layout.add(item.name + ".npy", size: sources[sources.count - 1].byteCount)
    }
    if let rest { try layout.add(FlatCheckpoint.key + ".npy", size: NumPyArraySource(text: rest).byteCount) }
    var writer = try ZipWriter(layout, to: path, replaces: options.replaces)
    writer.progress = options.progress
    try writer.write(sources)
    if rest != nil {
      // Its digest is known now that all bytes have passed, and is as long as the zeros in its place.
      let digest = try CheckedSource.contentDigest(of: root)
      try writer.write([NumPyArraySource(text: flat.rest(digest: digest))])
    }
    try writer.finish()
    return Format.Written(contentDigest: nil, warnings: warnings(flat.carried, isTold: rest != nil))
  }

  /// Writes the one tensor of a tree as `np.save` would.
  ///
  /// - Throws: `usage` where there is not exactly one.
  static func writeArray(
    _ root: Value, to path: String, _ options: Format.WriteOptions
  ) throws(CheckpointError) -> Format.Written {
    let flat = try FlatCheckpoint(root, keepsTies: true, carry: carried)
    guard flat.items.count == 1, let item = flat.items.first else {
      throw CheckpointError(
        .usage, "an .npy file holds one array, the checkpoint has \(flat.items.count) tensors", file: path,
        advice: "Choose one with --include or --key, or write an .npz.")
    }
    var warnings = warnings(flat.carried, isTold: false)
    if !flat.isPlain, !root.isTensor { warnings.append("all but the tensor '\(item.name)' is left out") }
    let file = try OutputFile(path, replaces: options.replaces)
    let source = try NumPyArraySource(item.tensor)
    try file.reserve(source.byteCount)
    var writer = ParallelWriter()
    writer.progress = options.progress
    _ = try writer.write([WriteJob(source: source, offset: 0)], to: file)
    try file.truncate(source.byteCount)
    try file.commit()
    return Format.Written(contentDigest: nil, warnings: warnings)
  }

  /// What is narrower than a byte is stored as the bytes that it is packed into.
  private static func carried(_ tensor: Tensor) throws(CheckpointError) -> Tensor? {
    guard tensor.dtype.itemSize == nil else { return nil }
    return try Tensor(dtype: .uint8, shape: [tensor.byteCount], source: tensor.source)
  }

  /// A name as a record can have it: without zero bytes, at which Python's zipfile ends it, and not too long.
  private static func recordName(_ name: String) -> String {
    guard name.utf8.contains(0) || name.utf8.count > maximumName else { return name }
    let bytes = name.utf8.prefix(maximumName).map { $0 == 0 ? UInt8(ascii: "_") : $0 }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The directory has 16 bits for the length; the rest is for what makes names differ.
  private static let maximumName = 65_000

  private static func warnings(_ carried: [String], isTold: Bool) -> [String] {
    guard !carried.isEmpty else { return [] }
    let place = isTold ? ", and told in '\(FlatCheckpoint.key)'" : ""
    return ["NumPy has no such element types: stored as the bytes they are packed into\(place): \(listed(carried))"]
  }
}

extension FlatCheckpoint {
  /// Whether a reader of the names and tensors alone has the same tree.
  fileprivate func saysAll(of root: Value) -> Bool {
    guard isPlain, ties.isEmpty, case .dict(let dict) = root else { return false }
    return dict.attributes.isEmpty
  }
}

extension Value {
  fileprivate var isTensor: Bool { if case .tensor = self { true } else { false } }
}
