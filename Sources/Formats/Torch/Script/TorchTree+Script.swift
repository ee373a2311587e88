import Checkpoint

// Modules of TorchScript (`torch.jit.save`): objects of classes `__torch__.…` whose one state has all attributes.
extension TorchTree {
  /// The parts of an object that is a module of TorchScript; nil for any other.
  mutating func scriptParts(_ object: PickleObject) throws(CheckpointError) -> ModuleParts? {
    guard object.form == .instance, object.states.count == 1, object.items.isEmpty, object.pairs.isEmpty,
      let global = scriptClass(object), case .dict(let index) = pickle.nodes[Int(object.states[0])]
    else { return nil }
    let facts = try script?.facts(global)
    if let facts, !facts.isModule { return nil }
    let fields = pickle.containers[Int(index)]
    try spend(bytes: fields.count * 8)
    var parts = ModuleParts(className: try modernName(of: global))
    for place in stride(from: 0, to: fields.count - 1, by: 2) {
      add((try attributeName(fields[place]), fields[place + 1]), facts, to: &parts)
    }
    return parts
  }

  private func add(_ item: ModuleParts.Item, _ facts: ScriptCode.ClassFacts?, to parts: inout ModuleParts) {
    let key = Key.string(item.name)
    let isTensor = isTensor(item.node)
    switch facts {
    case let facts? where facts.parameters.contains(key) && (isTensor || isNone(item.node)):
      parts.parameters.append(item)
    case let facts? where facts.buffers?.contains(key) ?? isTensor && (isTensor || isNone(item.node)):
      parts.buffers.append(item)
    case nil where isTensor: parts.parameters.append(item)
    default:
      if case .object(let index) = pickle.nodes[Int(item.node)], scriptClass(pickle.objects[Int(index)]) != nil {
        parts.modules.append(item)
      } else if !isMachinery(item.name, item.node) {
        parts.others.append(item)
      }
    }
  }

  /// The class of an object, where it is one of the program's. Those of `torch.classes` are C++'s.
  private func scriptClass(_ object: PickleObject) -> PickleGlobal? {
    guard case .global(let index) = pickle.nodes[Int(object.callable)] else { return nil }
    let global = pickle.globals[Int(index)]
    let isScript = global.module.utf8.elementsEqual("__torch__".utf8) || global.module.hasPrefix("__torch__.")
    return isScript && !global.module.hasPrefix("__torch__.torch.classes") ? global : nil
  }

  private func isTensor(_ node: Int32) -> Bool {
    guard case .object(let index) = pickle.nodes[Int(node)] else { return false }
    switch known(pickle.objects[Int(index)].callable) {
    case .rebuildTensor, .rebuildTensorV2, .rebuildTensorV3, .rebuildParameter, .rebuildQuantized, .rebuildSparse:
      return true
    default: return false
    }
  }
}
