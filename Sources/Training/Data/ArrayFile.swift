public import Checkpoint
import CheckpointFormats

/// Arrays by name from a file of any kind that holds arrays: `.npz`, `.npy`, safetensors, HDF5 (h5py's or ckpt's own)
/// and PyTorch's. The content tells the kind, not the name.
public struct ArrayFile {
  public let path: String
  /// The names in the file's order; a single empty one for an `.npy` file. HDF5 paths have slashes (`train/x`), keys in
  /// a tree have dots between them (`model.x`).
  public let names: [String]
  /// What the reader has to say of the rest.
  public let warnings: [String]
  private let tensors: [Tensor]

  /// - Throws: `missing`, `damaged`, `unsupported`; the message names the file.
  public init(_ path: String) throws(CheckpointError) {
    let checkpoint = try Self.read(path)
    self.path = path
    warnings = checkpoint.warnings
    var found: [(name: String, tensor: Tensor)] = []
    Self.collect(checkpoint.root, "", depth: 0, into: &found)
    names = found.map(\.name)
    tensors = found.map(\.tensor)
  }

  private static func read(_ path: String) throws(CheckpointError) -> Checkpoint {
    let start = try FileStart(path)
    guard !start.isFolder else {
      throw CheckpointError(.unsupported, "is a folder; expected a file of arrays", file: path)
    }
    if NativeFormat.recognises(path) { return try NativeFormat.read(path) }
    if start.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) { return try HDF5Arrays.read(path) }
    if SafetensorsFile.recognises(start.bytes, fileSize: start.size) { return try SafetensorsFile.read(path) }
    if NumPyFile.recognises(start.bytes) { return try readZip(path, start) }
    // Cut short, most likely: the reader says how.
    if path.hasSuffix(".safetensors") { return try SafetensorsFile.read(path) }
    throw CheckpointError(
      .unsupported, start.size == 0 ? "the file is empty" : "no file of arrays that is known here", file: path,
      advice: "Arrays are read from .npz, .npy, .h5, .safetensors and .pt files; tables from .csv.")
  }

  /// A zip archive is NumPy's or PyTorch's.
  private static func readZip(_ path: String, _ start: FileStart) throws(CheckpointError) -> Checkpoint {
    let numpy = try NumPyFile.read(path)
    guard case .dict(let dict) = numpy.root, dict.entries.isEmpty, !numpy.warnings.isEmpty,
      !NumPyFile.isArchive(start)
    else { return numpy }
    return try TorchZip.read(path)
  }

  private static func collect(
    _ value: Value, _ path: String, depth: Int, into found: inout [(name: String, tensor: Tensor)]
  ) {
    switch value {
    case .tensor(let tensor): found.append((path, tensor))
    case .dict(let dict) where depth < 64:
      for entry in dict.entries {
        collect(
          entry.value, path.isEmpty ? entry.key.text : "\(path).\(entry.key.text)", depth: depth + 1, into: &found)
      }
    default: break
    }
  }

  /// The array of a name. The only array of a file needs none.
  ///
  /// - Throws: `usage` when there is none of the name, or several; the advice lists the names.
  public func tensor(_ name: String?) throws(CheckpointError) -> Tensor {
    guard let name, names != [""] else {
      guard tensors.count == 1 else {
        throw CheckpointError(
          .usage, "holds \(tensors.count) arrays; one must be named", file: path,
          advice: "The arrays are \(names.prefix(20).joined(separator: ", ")).")
      }
      return tensors[0]
    }
    let places = names.indices.filter { names[$0].hasSameBytes(as: name) }
    guard places.count <= 1 else {
      throw CheckpointError(.usage, "'\(name)' names \(places.count) arrays", file: path)
    }
    guard let place = places.first else {
      if let warning = warnings.first(where: { $0.hasPrefix("\(name): ") }) {
        throw CheckpointError(.unsupported, "is no array: \(warning)", file: path)
      }
      throw CheckpointError(
        .usage, "there is no array '\(name)'", file: path, advice: advice(for: name, among: names, "arrays"))
    }
    return tensors[place]
  }
}
