import Checkpoint

/// Which files of a folder hold a model's weights, by the names that Hugging Face's libraries give them.
enum WeightFiles: Sendable, Equatable {
  case index(String)
  case file(String)

  /// The first that is there counts, as for those libraries.
  private static let files = [
    "model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin",
    "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin",
  ]

  /// The weights of a folder; nil where there are none.
  init?(in folder: PartsFolder) {
    for name in Self.files {
      if folder.has(name) {
        self = .file(name)
        return
      }
      if folder.has(name + ".index.json") {
        self = .index(name + ".index.json")
        return
      }
    }
    let indexes = folder.names.filter { $0.hasSuffix(".safetensors.index.json") || $0.hasSuffix(".bin.index.json") }
    if indexes.count == 1 {
      self = .index(indexes[0])
      return
    }
    let singles = folder.names.filter { $0.hasSuffix(".safetensors") }
    guard indexes.isEmpty, singles.count == 1 else { return nil }
    self = .file(singles[0])
  }

  /// The state dict.
  func read(_ parts: inout FolderParts) throws(CheckpointError) -> Value {
    switch self {
    case .index(let name): try parts.weights(WeightIndex(name, in: parts.folder))
    case .file(let name): try parts.checkpoint(name)
    }
  }
}
