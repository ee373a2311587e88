import Checkpoint

extension Format {
  /// A folder of `Accelerator.save_state` of Hugging Face's accelerate.
  static let accelerateFolder = Format.folder(
    kind: .pt, id: "accelerate", name: "Accelerate checkpoint",
    recognises: { start in
      guard start.isFolder, let names = PartsFolder.names(in: start.path) else { return false }
      return names.contains { $0.hasPrefix("random_states_") && $0.hasSuffix(".pkl") }
        || (names.contains("optimizer.bin") && names.contains("scheduler.bin"))
    },
    read: AccelerateFolder.read)
}

/// The tree: `model`, `optimizer`, `scheduler`, `sampler`, `dataloader` (the second of a kind `model_1` and so on),
/// `scaler`, `rng` (a list by rank) and `custom` (a list of registered objects).
enum AccelerateFolder {
  static func read(_ path: String, _ options: Format.ReadOptions) throws(CheckpointError) -> Format.Opened {
    var parts = try FolderParts(path, options)
    try addModels(&parts)
    try add("optimizer", "optimizer", ".bin", &parts)
    try parts.addDistributed("optimizer", "optimizer_")
    try parts.addDeepSpeed()
    try add("scheduler", "scheduler", ".bin", &parts)
    try add("sampler", "sampler", ".bin", &parts)
    try add("dataloader", "dl_state_dict", ".bin", &parts)
    try parts.addIfThere("scaler", "scaler.pt")
    try parts.addNumbered("rng", "random_states_", ".pkl")
    try parts.addNumbered("custom", "custom_checkpoint_", ".pkl")
    if parts.folder.has("config.json") { parts.add("config", try parts.json("config.json")) }
    return Format.Opened(checkpoint: parts.result(), version: nil, producer: nil, bytes: parts.bytes)
  }

  private static func addModels(_ parts: inout FolderParts) throws(CheckpointError) {
    if let weights = WeightFiles(in: parts.folder) { parts.add("model", try weights.read(&parts)) }
    try parts.addDistributed("model", "pytorch_model_fsdp_")
    for (prefix, suffix) in [("model_", ".safetensors"), ("pytorch_model_", ".bin")] {
      for file in parts.numbered(prefix, suffix) { parts.add("model_\(file.number)", try parts.checkpoint(file.name)) }
    }
  }

  /// `<name>.bin`, and `<name>_1.bin` for the second.
  private static func add(
    _ key: String, _ name: String, _ suffix: String, _ parts: inout FolderParts
  ) throws(CheckpointError) {
    try parts.addIfThere(key, name + suffix)
    for file in parts.numbered(name + "_", suffix) {
      parts.add("\(key)_\(file.number)", try parts.checkpoint(file.name))
    }
  }
}
