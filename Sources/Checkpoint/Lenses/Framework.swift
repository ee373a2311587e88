/// Which framework saved a checkpoint, where its own marks say so.
public enum Framework {
  /// The framework's name, with its version where the checkpoint has it; nil where nothing is certain.
  public static func name(of root: Value) -> String? {
    guard case .dict(let dict) = root else { return nil }
    if let version = text(dict["pytorch-lightning_version"]) { return "Lightning \(version)" }
    if let version = text(dict["ds_version"]) { return "DeepSpeed \(version)" }
    if dict["checkpoint_version"] != nil, dict["iteration"] != nil, dict["args"] != nil || dict["rng_state"] != nil {
      return "Megatron"
    }
    if dict["last_optimizer_state"] != nil || dict["optimizer_history"] != nil, dict["extra_state"] != nil {
      return "fairseq"
    }
    if case .dict(let meta)? = dict["meta"] {
      if let version = text(meta["mmengine_version"]) { return "MMEngine \(version)" }
      if let version = text(meta["mmcv_version"]) { return "MMCV \(version)" }
    }
    if text(dict["__author__"]) != nil, dict["model"] != nil { return "Detectron2" }
    if dict["train_args"] != nil, dict["train_metrics"] != nil, let version = text(dict["version"]) {
      return "Ultralytics \(version)"
    }
    return nil
  }

  private static func text(_ value: Value?) -> String? {
    guard case .string(let text)? = value, text.utf8.count <= 64 else { return nil }
    return text
  }
}
