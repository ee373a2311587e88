public import Checkpoint
internal import Kernels

extension Variable {
  /// The result of a step: a value, and how its gradient goes back to the inputs.
  ///
  /// `backward` gets the gradient of the result, in the result's shape and layout, and calls `addGradient` on each
  /// input that wants one (`requiresGrad`). It is kept only when one does and gradients are recorded.
  static func result(
    of inputs: [Variable], shape: [Int], layout: Layout = .contiguous, storage: Storage,
    backward: @escaping (Storage) throws(CheckpointError) -> Void
  ) -> Variable {
    let result = Variable(shape: shape, dtype: .float32, layout: layout, storage: storage)
    guard GradientMode.isEnabled, inputs.contains(where: \.requiresGrad) else { return result }
    result.requiresGrad = true
    result.node = Node(number: GradientMode.nextNumber(), inputs: inputs, backward: backward)
    return result
  }

  /// Lets `write` compute a part of this value's gradient: into fresh memory (`accumulates` false: every element is to
  /// be set), or added to what is there.
  final func addGradient(
    _ write: (_ target: UnsafeMutablePointer<Float>, _ accumulates: Bool) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard gradient != nil else {
      let fresh = try Storage(byteCount: count * 4)
      try write(fresh.floats, false)
      gradient = fresh
      return
    }
    let own = try ownGradient()
    try write(own.floats, true)
  }

  /// Adds a gradient that lies in memory already, in this value's layout. The storage may be shared from now on.
  final func addGradient(_ storage: Storage) throws(CheckpointError) {
    guard gradient != nil else {
      gradient = storage
      return
    }
    let own = try ownGradient()
    ck_add(own.floats, storage.floats, count)
  }

  /// The gradient in a storage that nobody else holds: a copy where it is shared.
  private func ownGradient() throws(CheckpointError) -> Storage {
    if !isKnownUniquelyReferenced(&gradient), let shared = gradient {
      let copy = try Storage(byteCount: count * 4)
      copy.base.copyMemory(from: shared.base, byteCount: count * 4)
      gradient = copy
      return copy
    }
    guard let gradient else { throw CheckpointError(.usage, "there is no gradient to add to") }
    return gradient
  }

  /// Computes the gradients of all parameters that this value, a single number, was computed from, and adds them to
  /// what is there since `zeroGrad()`. What was remembered of the computation is given up on the way.
  ///
  /// - Throws: `usage` when the value is no scalar or needs no gradient.
  public final func backward() throws(CheckpointError) {
    guard count == 1, let last = node else {
      throw CheckpointError(
        .usage, count == 1 ? "backward() of a value that needs no gradient" : "backward() of a value of shape \(shape)",
        advice: "Call backward() on a loss that was computed from parameters.")
    }
    let one = try Storage(byteCount: 4)
    one.floats.pointee = 1
    gradient = one
    var values = Self.values(before: self, last)
    while let value = values.popLast() {
      guard let node = value.node, let gradient = value.gradient else { continue }
      // Values computed on the way have served: their gradient and what they were computed from go at once.
      value.gradient = nil
      value.node = nil
      try node.backward(gradient)
    }
  }

  /// All values with a node that `last` was computed from and itself, each after those it was computed from.
  private static func values(before last: Variable, _ node: Node) -> [Variable] {
    var found = [last]
    var seen: Set<UInt64> = [node.number]
    var next = 0
    while next < found.count {
      for input in found[next].node?.inputs ?? [] {
        guard let node = input.node, seen.insert(node.number).inserted else { continue }
        found.append(input)
      }
      next += 1
    }
    found.sort { ($0.node?.number ?? 0) < ($1.node?.number ?? 0) }
    return found
  }
}

/// Whether computations are remembered for the way back, on this thread.
enum GradientMode {
  static var isEnabled: Bool { ck_gradient_depth() == 0 }
  static func nextNumber() -> UInt64 { ck_next_node() }
}

/// Runs `body` without remembering anything for the way back: for evaluation.
public func withoutGradients<Result>(
  _ body: () throws(CheckpointError) -> Result
) throws(CheckpointError) -> Result {
  ck_add_gradient_depth(1)
  defer { ck_add_gradient_depth(-1) }
  return try body()
}
