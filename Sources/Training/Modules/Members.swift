/// What lies in a module itself, not in the modules in it, with the names that it has there.
struct Members {
  private(set) var parameters: [(name: String, parameter: Parameter)] = []
  private(set) var buffers: [(name: String, buffer: Buffer)] = []
  private(set) var modules: [(name: String, module: Module)] = []

  init() {}

  /// Found by looking at the module's properties, those of its superclass first.
  init(of module: Module) {
    var levels: [Mirror] = []
    var mirror: Mirror? = Mirror(reflecting: module)
    while let level = mirror, level.subjectType != Module.self {
      levels.append(level)
      mirror = level.superclassMirror
    }
    for level in levels.reversed() {
      for child in level.children { add(child.value, child.label ?? "") }
    }
  }

  /// Modules that are numbered: `0`, `1`, …
  init(numbered modules: [Module]) {
    for (index, module) in modules.enumerated() { self.modules.append((String(index), module)) }
  }

  private mutating func add(_ value: Any, _ name: String) {
    switch value {
    case let parameter as Parameter: parameters.append((name, parameter))
    case let buffer as Buffer: buffers.append((name, buffer))
    case let module as Module: modules.append((name, module))
    case let named as any NamedProperty: add(named.wrapped, named.name)
    case let list as [Any]: addList(list, name)
    default:
      let mirror = Mirror(reflecting: value)
      if mirror.displayStyle == .optional, let inner = mirror.children.first { add(inner.value, name) }
    }
  }

  /// An array's elements are named by their numbers. Arrays of other things are passed over at once.
  private mutating func addList(_ list: [Any], _ name: String) {
    guard let first = list.first, first is Module || first is Parameter || first is Buffer else { return }
    for (index, element) in list.enumerated() { add(element, "\(name).\(index)") }
  }
}

/// A property that `Named` wraps, whatever its type.
private protocol NamedProperty {
  var name: String { get }
  var wrapped: Any { get }
}

extension Named: NamedProperty {
  fileprivate var wrapped: Any { wrappedValue }
}
