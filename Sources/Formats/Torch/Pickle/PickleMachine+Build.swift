import Checkpoint

// Containers, names, and things that Python would make by a call.
extension PickleMachine {
  mutating func newContainer(_ items: [Int32] = []) -> Int32 {
    pickle.containers.append(items)
    return Int32(truncatingIfNeeded: pickle.containers.count - 1)
  }

  mutating func takeAll(from mark: Int) -> [Int32] {
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func run(from mark: Int) throws(CheckpointError) -> PickleRun {
    let count = stack.count - mark
    guard pickle.pool.count + count <= Int32.max else { throw damaged("too many tuples") }
    let run = PickleRun(start: Int32(pickle.pool.count), count: Int32(count))
    pickle.pool.append(contentsOf: stack[mark...])
    stack.removeSubrange(mark...)
    return run
  }

  mutating func tuple(from mark: Int) throws(CheckpointError) {
    if mark == stack.count { return try push(Self.emptyTupleNode) }
    try pushNew(.tuple(try run(from: mark)))
  }

  mutating func tuple(count: Int) throws(CheckpointError) {
    guard stack.count - floor >= count else { throw damaged("a tuple of \(count), but too few values on the stack") }
    try pushNew(.tuple(try run(from: stack.count - count)))
  }

  mutating func frozenset(from mark: Int) throws(CheckpointError) { try pushNew(.frozenset(try run(from: mark))) }

  mutating func dict(from mark: Int) throws(CheckpointError) {
    let items = takeAll(from: mark)
    guard items.count % 2 == 0 else { throw damaged("a dict with a key but no value") }
    try pushNew(.dict(newContainer(items)))
  }

  // MARK: - Items

  mutating func append() throws(CheckpointError) {
    let item = try pop()
    switch pickle.nodes[Int(try top())] {
    case .list(let index): pickle.containers[Int(index)].append(item)
    case .object(let index): pickle.objects[Int(index)].items.append(item)
    default: throw damaged("APPEND to something that is no list")
    }
  }

  mutating func appends(from mark: Int, set: Bool) throws(CheckpointError) {
    guard mark > floor else { throw damaged("items, but nothing to put them in") }
    switch pickle.nodes[Int(stack[mark - 1])] {
    case .list(let index) where !set: pickle.containers[Int(index)].append(contentsOf: stack[mark...])
    case .set(let index) where set: pickle.containers[Int(index)].append(contentsOf: stack[mark...])
    case .object(let index): pickle.objects[Int(index)].items.append(contentsOf: stack[mark...])
    default: throw damaged("items for something that is no \(set ? "set" : "list")")
    }
    stack.removeSubrange(mark...)
  }

  mutating func setItem() throws(CheckpointError) {
    let value = try pop()
    let key = try pop()
    switch pickle.nodes[Int(try top())] {
    case .dict(let index): pickle.containers[Int(index)] += [key, value]
    case .object(let index): pickle.objects[Int(index)].pairs += [key, value]
    default: throw damaged("SETITEM on something that is no dict")
    }
  }

  mutating func setItems(from mark: Int) throws(CheckpointError) {
    guard mark > floor else { throw damaged("items, but nothing to put them in") }
    guard (stack.count - mark) % 2 == 0 else { throw damaged("SETITEMS with a key but no value") }
    switch pickle.nodes[Int(stack[mark - 1])] {
    case .dict(let index): pickle.containers[Int(index)].append(contentsOf: stack[mark...])
    case .object(let index): pickle.objects[Int(index)].pairs.append(contentsOf: stack[mark...])
    default: throw damaged("SETITEMS on something that is no dict")
    }
    stack.removeSubrange(mark...)
  }

  // MARK: - Names

  mutating func global() throws(CheckpointError) {
    let module = try name(try line())
    try pushGlobal(module, try name(try line()))
  }

  mutating func stackGlobal() throws(CheckpointError) {
    let name = try text(of: try pop())
    try pushGlobal(try text(of: try pop()), name)
  }

  private mutating func pushGlobal(_ module: String, _ name: String) throws(CheckpointError) {
    try push(try globalNode(module, name))
  }

  /// One node a name, so that what is known about a name is looked up once.
  private mutating func globalNode(_ module: String, _ name: String) throws(CheckpointError) -> Int32 {
    let key = Key.tuple([.string(module), .string(name)])
    if let node = globalIndex[key] { return node }
    pickle.globals.append(PickleGlobal(module: module, name: name))
    let node = try make(.global(Int32(truncatingIfNeeded: pickle.globals.count - 1)))
    globalIndex[key] = node
    return node
  }

  private func name(_ raw: UnsafeRawBufferPointer) throws(CheckpointError) -> String {
    guard let text = String(validating: raw, as: UTF8.self), !text.isEmpty else {
      throw damaged("a class or function without a proper name")
    }
    return text
  }

  private func text(of node: Int32) throws(CheckpointError) -> String {
    guard case .string(let span) = pickle.nodes[Int(node)] else { throw damaged("a name that is no string") }
    return try name(UnsafeRawBufferPointer(rebasing: bytes[span.range]))
  }

  /// BINPERSID. Until 1.5 PyTorch named a module's class by one, with its source: ('module', class, file, source), and
  /// in 0.1 (class, file, source). The class is what counts.
  mutating func persistent() throws(CheckpointError) {
    let id = try pop()
    if case .tuple(let run) = pickle.nodes[Int(id)], run.count == 3 || run.count == 4 {
      let named = pickle.pool[Int(run.start + run.count) - 3]
      if case .global = pickle.nodes[Int(named)] { return try push(named) }
    }
    try pushNew(.persistent(id))
  }

  // MARK: - Objects

  mutating func call(_ form: PickleObject.Form) throws(CheckpointError) {
    let arguments = try pop()
    let callable = try pop()
    try pushObject(form, callable, arguments)
  }

  private mutating func pushObject(
    _ form: PickleObject.Form, _ callable: Int32, _ arguments: Int32, keywords: Int32 = -1
  ) throws(CheckpointError) {
    guard case .tuple = pickle.nodes[Int(arguments)] else { throw damaged("arguments that are no tuple") }
    switch pickle.nodes[Int(callable)] {
    case .global, .object: break
    default: throw damaged("a call of something that is no class or function")
    }
    pickle.objects.append(PickleObject(form: form, callable: callable, arguments: arguments, keywords: keywords))
    try pushNew(.object(Int32(truncatingIfNeeded: pickle.objects.count - 1)))
  }

  mutating func newObjEx() throws(CheckpointError) {
    let keywords = try pop()
    let arguments = try pop()
    guard case .dict = pickle.nodes[Int(keywords)] else { throw damaged("keyword arguments that are no dict") }
    try pushObject(.instance, try pop(), arguments, keywords: keywords)
  }

  mutating func obj(from mark: Int) throws(CheckpointError) {
    guard mark < stack.count else { throw damaged("OBJ without a class") }
    let callable = stack[mark]
    let arguments = try make(.tuple(try run(from: mark + 1)))
    stack.removeLast()
    try pushObject(.instance, callable, arguments)
  }

  mutating func inst(from mark: Int) throws(CheckpointError) {
    let arguments = try make(.tuple(try run(from: mark)))
    let module = try name(try line())
    try pushObject(.instance, try globalNode(module, try name(try line())), arguments)
  }

  mutating func build() throws(CheckpointError) {
    let state = try pop()
    guard case .object(let index) = pickle.nodes[Int(try top())] else {
      throw damaged("BUILD on something that is no object")
    }
    pickle.objects[Int(index)].states.append(state)
    if isJoblibArray(pickle.objects[Int(index)]) { try takeJoblibArray(Int(index), state: state) }
  }
}
