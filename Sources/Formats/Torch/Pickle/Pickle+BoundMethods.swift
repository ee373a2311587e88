extension Pickle {
  /// Whether `getattr`, the global of this number, is used as Python pickles bound methods and in no other way: of an
  /// instance, by a name that is not special, and nothing is called that it would give.
  ///
  /// An attack needs `getattr` of a module or a class, which are globals, or a call of what it gives.
  func bindsMethodsOnly(_ global: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
    var names: Set<Int32> = []
    var methods: Set<Int32> = []
    for (number, node) in nodes.enumerated() {
      switch node {
      case .global(let index) where Int(index) == global: names.insert(Int32(number))
      case .object(let index) where calls(global, objects[Int(index)]): methods.insert(Int32(number))
      default: break
      }
    }
    for object in objects {
      if methods.contains(object.callable) { return false }
      if names.contains(object.callable), !isBound(object, bytes) { return false }
      let parts = [object.items, object.pairs, object.states].joined()
      if names.contains(object.arguments) || names.contains(object.keywords) || parts.contains(where: names.contains) {
        return false
      }
    }
    return !names.contains(root) && !pool.contains(where: names.contains)
      && !containers.contains { $0.contains(where: names.contains) }
  }

  private func calls(_ global: Int, _ object: PickleObject) -> Bool {
    if case .global(let index) = nodes[Int(object.callable)] { Int(index) == global } else { false }
  }

  /// `getattr(instance, "name")`
  private func isBound(_ object: PickleObject, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard object.form == .call, object.items.isEmpty, object.pairs.isEmpty, object.states.isEmpty,
      case .tuple(let run) = nodes[Int(object.arguments)], run.count == 2
    else { return false }
    let arguments = pool[run.range]
    guard case .object = nodes[Int(arguments[arguments.startIndex])],
      case .string(let name) = nodes[Int(arguments[arguments.startIndex + 1])], name.count <= 255
    else { return false }
    return !bytes[name.range].starts(with: "__".utf8)
  }
}
