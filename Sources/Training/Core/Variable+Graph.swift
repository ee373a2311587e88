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
    guard let first = inputs.first, GradientMode.isEnabled, inputs.contains(where: \.requiresGrad) else {
      return result
    }
    result.requiresGrad = true
    result.node = ClosureNode(inputs, first, backward)
    return result
  }

  /// Remembers how this value was computed. For nodes made only where `records` said so.
  final func computed(by node: Node) {
    requiresGrad = true
    self.node = node
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
    ck_add(own.floats, own.floats, storage.floats, count)
  }

  /// Where to write a part of this value's gradient, and whether it is to be added to what is there (1) or every element
  /// to be set (0).
  final func gradientTarget() throws(CheckpointError) -> (floats: UnsafeMutablePointer<Float>, accumulates: Int32) {
    guard gradient != nil else {
      let fresh = try Storage(byteCount: count * 4)
      gradient = fresh
      return (fresh.floats, 0)
    }
    return (try ownGradient().floats, 1)
  }

  /// The gradient in a storage that nobody else holds: a copy where it is shared.
  final func ownGradient() throws(CheckpointError) -> Storage {
    if !isKnownUniquelyReferenced(&gradient), let shared = gradient {
      let copy = try Storage(byteCount: count * 4)
      ck_copy(copy.base, shared.base, count * 4)
      gradient = copy
      return copy
    }
    guard let gradient else { throw CheckpointError(.usage, "there is no gradient to add to") }
    return gradient
  }

  /// The gradient, which is no longer held here.
  private func takeGradient() -> Storage? {
    var taken: Storage?
    swap(&taken, &gradient)
    return taken
  }

  /// Computes the gradients of all parameters that this value, a single number, was computed from, and adds them to
  /// what is there since `zeroGrad()`. What was remembered of the computation is given up on the way.
  ///
  /// - Throws: `usage` when the value is no scalar or needs no gradient.
  public final func backward() throws(CheckpointError) {
    guard count == 1, node != nil else {
      throw CheckpointError(
        .usage, count == 1 ? "backward() of a value that needs no gradient" : "backward() of a value of shape \(shape)",
        advice: "Call backward() on a loss that was computed from parameters.")
    }
    let one = try Storage(byteCount: 4)
    one.floats.pointee = 1
    gradient = one
    var tape = Tape(self)
    var failure: CheckpointError?
    while let value = tape.pop() {
      guard let node = value.node else { continue }
      // Values computed on the way have served: their gradient and what they were computed from go at once.
      value.node = nil
      node.pushInputs(into: &tape)
      guard var gradient = value.takeGradient(), failure == nil else { continue }
      do throws(CheckpointError) { try node.backward(&gradient) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

extension Storage {
  /// Memory for a gradient of `count` elements that is computed from this one: this storage where nobody else holds it.
  static func reusing(_ gradient: inout Storage) throws(CheckpointError) -> Storage {
    isKnownUniquelyReferenced(&gradient) ? gradient : try Storage(byteCount: gradient.byteCount)
  }
}

/// Whether computations are remembered for the way back, on this thread.
enum GradientMode {
  static var isEnabled: Bool { ck_gradient_depth() == 0 }
}

/// Whether a step from these inputs is to be remembered.
@inline(__always)
func records(_ a: Variable) -> Bool { a.requiresGrad && GradientMode.isEnabled }

@inline(__always)
func records(_ a: Variable, _ b: Variable) -> Bool { (a.requiresGrad || b.requiresGrad) && GradientMode.isEnabled }

@inline(__always)
func records(_ a: Variable, _ b: Variable, _ c: Variable?) -> Bool {
  (a.requiresGrad || b.requiresGrad || c?.requiresGrad == true) && GradientMode.isEnabled
}

/// Runs `body` without remembering anything for the way back: for evaluation.
public func withoutGradients<Result>(
  _ body: () throws(CheckpointError) -> Result
) throws(CheckpointError) -> Result {
  ck_add_gradient_depth(1)
  defer { ck_add_gradient_depth(-1) }
  return try body()
}
