/// The formats' names on the command line (`--from`, `--to`).
public enum FormatKind: String, Sendable, CaseIterable {
  /// Our HDF5 format.
  case ckpt
  /// PyTorch's `torch.save`.
  case pt
  case dcp, safetensors, npz, npy, keras
  case kerasWeights = "keras-weights"
  case gguf, onnx

  /// The kind that a file name's ending asks for; nil where it asks for none.
  public init?(suffixOf path: String) {
    let name = path.utf8.split(separator: 0x2F).last.map { String(decoding: $0, as: UTF8.self).lowercased() } ?? ""
    guard let found = Self.suffixes.first(where: { name.utf8.count > $0.0.utf8.count && name.hasSuffix($0.0) })
    else { return nil }
    self = found.1
  }

  /// The endings that ask for this kind.
  public var suffixes: [String] { Self.suffixes.filter { $0.1 == self }.map(\.0) }

  /// The longer ones first.
  private static let suffixes: [(String, FormatKind)] = [
    (".weights.h5", .kerasWeights), (".ckpt.h5", .ckpt), (".h5", .ckpt), (".hdf5", .ckpt),
    (".pt", .pt), (".pth", .pt), (".bin", .pt), (".ckpt", .pt),
    (".safetensors", .safetensors), (".safetensors.index.json", .safetensors), (".npz", .npz), (".npy", .npy),
    (".keras", .keras), (".gguf", .gguf),
    (".onnx", .onnx), (".dcp", .dcp),
  ]
}
