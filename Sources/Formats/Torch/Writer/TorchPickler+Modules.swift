import Checkpoint

extension TorchPickler {
  /// The state dict of a module that was pickled whole, as its `state_dict()` gives it: without what only the module
  /// had. Any other dictionary as it is.
  mutating func withoutModule(_ dict: Dict) -> Dict {
    guard let place = dict.attributes.firstIndex(where: { $0.name == TorchRecord.moduleAttribute }),
      case .record(let module) = dict.attributes[place].value, module.type == TorchRecord.module
    else { return dict }
    var plain = dict
    plain.attributes.remove(at: place)
    plain.entries.removeAll(where: Self.isLeftOut)
    let name = if case .string(let name)? = module["class"] { name } else { "torch.nn.Module" }
    let lost = dict.entries.filter(Self.isLeftOut).map { TorchTree.text($0.key) }
    let tensors = lost.isEmpty ? "" : ", tensors among them: \(Self.list(lost))"
    warn("a module of class \(name) was written as its state dict; its other attributes were left out\(tensors)")
    return plain
  }

  /// Whether no `state_dict()` has the entry.
  private static func isLeftOut(_ entry: Dict.Entry) -> Bool {
    if case .tensor(let tensor) = entry.value { tensor.kind == .buffer(persistent: false) } else { false }
  }

  /// Some names, for a sentence.
  private static func list(_ names: [String]) -> String {
    let more = names.count > 8 ? ", … (\(names.count) in all)" : ""
    return names.prefix(8).joined(separator: ", ") + more
  }
}
