import Checkpoint

extension Format {
  /// `checkpoint-500/` as the Trainer of Hugging Face's transformers saves it.
  static let trainerFolder = Format.folder(
    kind: .pt, id: "hf-trainer", name: "Hugging Face Trainer checkpoint",
    recognises: { start in
      start.hasEntry("trainer_state.json") || start.hasEntry("training_args.bin")
        || (start.hasEntry("optimizer.pt") && start.hasEntry("scheduler.pt"))
    },
    read: TrainerFolder.read)
}

/// The tree: `model`, `optimizer`, `scheduler`, `scaler`, `rng` (with several ranks a list), `training` (the trainer's
/// state), `training_args` and `config`, as far as the folder has them.
enum TrainerFolder {
  static func read(_ path: String, _ options: Format.ReadOptions) throws(CheckpointError) -> Format.Opened {
    var parts = try FolderParts(path, options)
    if let weights = WeightFiles(in: parts.folder) {
      parts.add("model", try weights.read(&parts))
    } else {
      try parts.addDistributed("model", "pytorch_model_fsdp_")
    }
    if let name = ["optimizer.pt", "optimizer.bin"].first(where: { parts.folder.has($0) }) {
      parts.add("optimizer", try parts.checkpoint(name))
    } else {
      try parts.addDistributed("optimizer", "optimizer_")
    }
    try parts.addDeepSpeed()
    try parts.addIfThere("scheduler", "scheduler.pt")
    try parts.addIfThere("scaler", "scaler.pt")
    try parts.addIfThere("rng", "rng_state.pth")
    try parts.addNumbered("rng", "rng_state_", ".pth")
    if parts.folder.has("trainer_state.json") { parts.add("training", try parts.json("trainer_state.json")) }
    try parts.addIfThere("training_args", "training_args.bin")
    if parts.folder.has("config.json") { parts.add("config", try parts.json("config.json")) }
    return Format.Opened(checkpoint: parts.result(), version: nil, producer: nil, bytes: parts.bytes)
  }
}

extension FolderParts {
  /// Adds a list of what the ranks saved, each in a file of its own.
  mutating func addNumbered(_ key: String, _ prefix: String, _ suffix: String) throws(CheckpointError) {
    let files = numbered(prefix, suffix)
    guard !files.isEmpty else { return }
    if let gap = files.indices.first(where: { files[$0].number != $0 }) {
      warn("\(prefix)\(gap)\(suffix) is missing: '\(key)' has no entry for it")
    }
    var items: [Value] = []
    for file in files { items.append(try checkpoint(file.name)) }
    add(key, .sequence(.list, items))
  }

  /// Adds a distributed checkpoint below the folder, `<prefix>0`; those of further models get a number.
  mutating func addDistributed(_ key: String, _ prefix: String) throws(CheckpointError) {
    for (number, name) in numbered(prefix, "") where folder.isFolder(name) {
      add(number == 0 ? key : "\(key)_\(number)", try distributed(name))
    }
  }
}
