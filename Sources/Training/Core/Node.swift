import Checkpoint
internal import Kernels

/// One step of a computation, remembered for the way back. A function that is called often has its own subclass, so
/// that a step costs one small object; `ClosureNode` serves the others.
class Node {
  /// The values that the step was computed from. They are kept alive, with the nodes that computed them.
  final let first: Variable
  final let second: Variable?
  final let third: Variable?
  /// One more than the depths of the inputs' nodes: whoever uses a value lies deeper than the value.
  final let depth: Int
  /// The next of those that wait to be freed, which hold themselves.
  private final var nextUnfreed: UnsafeMutableRawPointer?

  init(_ first: Variable, _ second: Variable? = nil, _ third: Variable? = nil) {
    self.first = first
    self.second = second
    self.third = third
    depth = max(first.depth, second?.depth ?? 0, third?.depth ?? 0) + 1
  }

  /// For nodes with more inputs, which `pushInputs` knows of: `deepest` is their largest depth.
  init(_ first: Variable, _ second: Variable? = nil, _ third: Variable? = nil, deepest: Int) {
    self.first = first
    self.second = second
    self.third = third
    depth = max(first.depth, second?.depth ?? 0, third?.depth ?? 0, deepest) + 1
  }

  /// Takes the gradient of the result and adds to the gradients of the inputs. Where `gradient` is known to be held
  /// here alone, it may be written into and handed on.
  func backward(_ gradient: inout Storage) throws(CheckpointError) {}

  /// Puts the inputs that have a node among those whose turn will come.
  func pushInputs(into tape: inout Tape) {
    tape.push(first)
    if let second { tape.push(second) }
    if let third { tape.push(third) }
  }
}

extension Node {
  /// Lets go of what computed a value that is going away. Nodes hold values and values nodes: each is freed from here,
  /// one after the other, since a long chain that nobody went back through would otherwise be freed by calls as deep as
  /// the chain is long.
  @inline(never)
  static func release(_ node: inout Node?) {
    guard ck_is_freeing() == 0 else {
      guard let waiting = node else { return }
      waiting.nextUnfreed = ck_unfreed()
      ck_set_unfreed(Unmanaged.passRetained(waiting).toOpaque())
      return
    }
    ck_set_freeing(1)
    node = nil
    while takeUnfreed() != nil {}
    ck_set_freeing(0)
  }

  private static func takeUnfreed() -> Node? {
    guard let last = ck_unfreed() else { return nil }
    let node = Unmanaged<Node>.fromOpaque(last).takeRetainedValue()
    ck_set_unfreed(node.nextUnfreed)
    return node
  }
}

/// A step whose way back is a closure.
final class ClosureNode: Node {
  private let inputs: [Variable]
  private let body: (Storage) throws(CheckpointError) -> Void

  init(_ inputs: [Variable], _ first: Variable, _ body: @escaping (Storage) throws(CheckpointError) -> Void) {
    self.inputs = inputs
    self.body = body
    var deepest = 0
    for input in inputs { deepest = max(deepest, input.depth) }
    super.init(first, deepest: deepest)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) { try body(gradient) }

  override func pushInputs(into tape: inout Tape) {
    for input in inputs { tape.push(input) }
  }
}

/// The values whose gradient is still to go back, deepest first: a list linked through the values, which are few at any
/// time.
struct Tape {
  private var head: Variable?

  init(_ last: Variable) {
    head = last
    last.isPending = true
  }

  mutating func push(_ value: Variable) {
    guard let node = value.node, !value.isPending else { return }
    value.isPending = true
    guard let head, let top = head.node, top.depth > node.depth else {
      value.nextPending = head
      head = value
      return
    }
    var at = head
    while let next = at.nextPending, let after = next.node, after.depth > node.depth { at = next }
    value.nextPending = at.nextPending
    at.nextPending = value
  }

  mutating func pop() -> Variable? {
    guard let value = head else { return nil }
    head = value.nextPending
    value.nextPending = nil
    value.isPending = false
    return value
  }
}
