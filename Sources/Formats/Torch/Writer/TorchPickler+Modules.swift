import Checkpoint

extension TorchPickler {
  /// The state dict of a module that was pickled whole, as its `state_dict()` gives it: without what only the module
  /// had. Any other dictionary as it is.
  mutating func withoutModule(_ dict: Dict) -> Dict {
    guard !dict.attributes.isEmpty, let module = PickledModule(.dict(dict)) else { return dict }
    let lost = module.otherTensors.map(TorchTree.text)
    let more = lost.count > 8 ? ", … (\(lost.count) in all)" : ""
    let tensors = lost.isEmpty ? "" : ", tensors among them: \(lost.prefix(8).joined(separator: ", "))\(more)"
    warn(
      "a module of class \(module.className) was written as its state dict; its other attributes were left out\(tensors)"
    )
    return module.stateDict
  }
}
