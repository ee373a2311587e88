extension Module {
  /// All parameters with their names, in PyTorch's order: a module's own, then those of the modules in it. One that
  /// has two names occurs once, under the first.
  public final func namedParameters() -> [NamedParameter] {
    var seen: Set<ObjectIdentifier> = []
    var result: [NamedParameter] = []
    walk("") { members, prefix in
      for (name, parameter) in members.parameters where seen.insert(ObjectIdentifier(parameter)).inserted {
        result.append(NamedParameter(prefix + name, parameter))
      }
    }
    return result
  }

  /// All parameters, each once.
  public final func parameters() -> [Parameter] { namedParameters().map(\.parameter) }

  /// All buffers with their names, in PyTorch's order, each once.
  public final func namedBuffers() -> [(name: String, buffer: Buffer)] {
    var seen: Set<ObjectIdentifier> = []
    var result: [(name: String, buffer: Buffer)] = []
    walk("") { members, prefix in
      for (name, buffer) in members.buffers where seen.insert(ObjectIdentifier(buffer)).inserted {
        result.append((prefix + name, buffer))
      }
    }
    return result
  }

  /// This module and all modules in it, each once.
  public final func modules() -> [Module] {
    var seen: Set<ObjectIdentifier> = []
    var result: [Module] = []
    func visit(_ module: Module) {
      guard seen.insert(ObjectIdentifier(module)).inserted else { return }
      result.append(module)
      for (_, inner) in module.members().modules { visit(inner) }
    }
    visit(self)
    return result
  }

  /// Puts the module and all modules in it into training mode.
  @discardableResult
  public final func train(_ mode: Bool = true) -> Self {
    for module in modules() { module.training = mode }
    return self
  }

  /// Puts the module and all modules in it into evaluation mode: dropout does nothing, batch norm uses what it has
  /// gathered.
  @discardableResult
  public final func eval() -> Self { train(false) }

  /// Lets all modules take their random numbers from this generator.
  public final func use(_ generator: Generator) {
    for module in modules() { module.generator = generator }
  }

  /// Forgets all gradients.
  public final func zeroGrad() {
    for parameter in parameters() { parameter.gradient = nil }
  }

  /// Calls `visit` with the members of this module and of all modules in it, and the prefix of their names. A module
  /// that has two names is met twice; one that lies in itself is not followed again.
  final func walk(_ prefix: String, _ visit: (Members, String) -> Void) {
    var path: [ObjectIdentifier] = []
    func step(_ module: Module, _ prefix: String) {
      let identity = ObjectIdentifier(module)
      guard !path.contains(identity) else { return }
      path.append(identity)
      let members = module.members()
      visit(members, prefix)
      for (name, inner) in members.modules { step(inner, "\(prefix)\(name).") }
      path.removeLast()
    }
    step(self, prefix)
  }
}
