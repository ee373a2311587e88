public import Checkpoint
internal import Kernels

extension Variable {
  /// Element by element, shapes broadcast as torch does it: right-aligned, a size of 1 repeats.
  ///
  /// - Throws: `usage` when the shapes do not fit.
  public static func + (a: Variable, b: Variable) throws(CheckpointError) -> Variable { try combine(.add, a, b) }
  public static func - (a: Variable, b: Variable) throws(CheckpointError) -> Variable { try combine(.subtract, a, b) }
  public static func * (a: Variable, b: Variable) throws(CheckpointError) -> Variable { try combine(.multiply, a, b) }
  public static func / (a: Variable, b: Variable) throws(CheckpointError) -> Variable { try combine(.divide, a, b) }

  public static func + (a: Variable, b: Float) throws(CheckpointError) -> Variable { try scalar(.add, a, b) }
  public static func - (a: Variable, b: Float) throws(CheckpointError) -> Variable { try scalar(.subtract, a, b) }
  public static func * (a: Variable, b: Float) throws(CheckpointError) -> Variable { try scalar(.multiply, a, b) }
  public static func / (a: Variable, b: Float) throws(CheckpointError) -> Variable { try scalar(.divide, a, b) }

  public static func + (a: Float, b: Variable) throws(CheckpointError) -> Variable { try scalar(.add, b, a) }
  public static func - (a: Float, b: Variable) throws(CheckpointError) -> Variable {
    try scalar(.subtract, b, a, reversed: true)
  }
  public static func * (a: Float, b: Variable) throws(CheckpointError) -> Variable { try scalar(.multiply, b, a) }
  public static func / (a: Float, b: Variable) throws(CheckpointError) -> Variable {
    try scalar(.divide, b, a, reversed: true)
  }

  public static prefix func - (a: Variable) throws(CheckpointError) -> Variable { try scalar(.multiply, a, -1) }
}

private enum Operation {
  case add, subtract, multiply, divide

  var code: ck_operation {
    switch self {
    case .add: CK_ADD
    case .subtract: CK_SUB
    case .multiply: CK_MUL
    case .divide: CK_DIV
    }
  }
}

private func combine(_ operation: Operation, _ a: Variable, _ b: Variable) throws(CheckpointError) -> Variable {
  try a.checkFloats("arithmetic")
  try b.checkFloats("arithmetic")
  // One layout for both: that of a where shapes are the same.
  let sameShape = a.shape == b.shape
  let b = !sameShape || a.layout != b.layout ? try b.contiguous() : b
  let a = !sameShape || a.layout != b.layout ? try a.contiguous() : a
  let shape = sameShape ? a.shape : try broadcastShape(a.shape, b.shape)
  let result = Variable(
    shape: shape, dtype: .float32, layout: a.layout, storage: try Storage(byteCount: shape.reduce(4, *)))
  try apply(operation, result.storage, a, b, shape)
  if records(a, b) { result.computed(by: ArithmeticNode(operation, a, b, shape)) }
  return result
}

/// out = a op b, both broadcast to `shape`.
private func apply(
  _ operation: Operation, _ out: Storage, _ a: Variable, _ b: Variable, _ shape: [Int]
) throws(CheckpointError) {
  let count = shape.reduce(1, *)
  guard count > 0 else { return }
  let left = try Repetition(a.storage, a.shape, to: shape, count)
  let right = try Repetition(b.storage, b.shape, to: shape, count)
  let columns = min(left.period, right.period)
  guard max(left.period, right.period) == count else {
    // Both repeat, in different ways: one of them is written out.
    let whole = try Repetition.expanded(a.storage, a.shape, to: shape, count)
    ck_binary(
      operation.code, out.floats, whole.floats, 0, right.storage.floats, right.period < count ? 1 : 0,
      count / right.period, right.period)
    return
  }
  if columns == 1, count > 1 {
    let single = left.period == 1 ? left.storage.floats.pointee : right.storage.floats.pointee
    let other = left.period == 1 ? right.storage : left.storage
    ck_scalar(operation.code, out.floats, other.floats, single, left.period == 1 ? 1 : 0, count)
    return
  }
  ck_binary(
    operation.code, out.floats, left.storage.floats, left.period < count ? 1 : 0, right.storage.floats,
    right.period < count ? 1 : 0, count / columns, columns)
}

private final class ArithmeticNode: Node {
  private let operation: Operation
  private let shape: [Int]

  init(_ operation: Operation, _ a: Variable, _ b: Variable, _ shape: [Int]) {
    self.operation = operation
    self.shape = shape
    super.init(a, b)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    guard let second else { return }
    if first.requiresGrad {
      switch operation {
      case .add, .subtract: try first.addReduced(gradient, from: shape)
      case .multiply: try first.addReduced(try product(gradient, .multiply, second), from: shape)
      case .divide: try first.addReduced(try product(gradient, .divide, second), from: shape)
      }
    }
    guard second.requiresGrad else { return }
    switch operation {
    case .add: try second.addReduced(gradient, from: shape)
    case .subtract: try second.addReduced(try scaled(gradient, -1), from: shape)
    case .multiply: try second.addReduced(try product(gradient, .multiply, first), from: shape)
    case .divide:
      // - g a / b^2
      let quotient = try product(try product(gradient, .divide, second), .divide, second)
      let part = try product(quotient, .multiply, first)
      try second.addReduced(try scaled(part, -1), from: shape)
    }
  }

  private func product(_ gradient: Storage, _ operation: Operation, _ other: Variable) throws(CheckpointError)
    -> Storage
  {
    let out = try Storage(byteCount: gradient.byteCount)
    try apply(operation, out, Variable(shape: shape, dtype: .float32, storage: gradient), other, shape)
    return out
  }
}

private func scaled(_ storage: Storage, _ factor: Float) throws(CheckpointError) -> Storage {
  let out = try Storage(byteCount: storage.byteCount)
  ck_scale(out.floats, storage.floats, factor, 0, storage.byteCount / 4)
  return out
}

private func scalar(
  _ operation: Operation, _ a: Variable, _ s: Float, reversed: Bool = false
) throws(CheckpointError) -> Variable {
  try a.checkFloats("arithmetic")
  let result = Variable(
    shape: a.shape, dtype: .float32, layout: a.layout, storage: try Storage(byteCount: a.count * 4))
  ck_scalar(operation.code, result.storage.floats, a.storage.floats, s, reversed ? 1 : 0, a.count)
  if records(a) { result.computed(by: ScalarNode(operation, a, s, reversed)) }
  return result
}

private final class ScalarNode: Node {
  private let operation: Operation
  private let number: Float
  private let reversed: Bool

  init(_ operation: Operation, _ a: Variable, _ number: Float, _ reversed: Bool) {
    self.operation = operation
    self.number = number
    self.reversed = reversed
    super.init(a)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    switch operation {
    case .add: try first.addGradient(gradient)
    case .subtract: try reversed ? add(gradient, times: -1) : first.addGradient(gradient)
    case .multiply: try add(gradient, times: number)
    case .divide where !reversed: try add(gradient, times: 1 / number)
    case .divide:
      // - g s / a^2
      let part = try Storage(byteCount: gradient.byteCount)
      let a = first.storage.floats
      ck_binary(CK_DIV, part.floats, gradient.floats, 0, a, 0, 1, first.count)
      ck_binary(CK_DIV, part.floats, part.floats, 0, a, 0, 1, first.count)
      try add(part, times: -number)
    }
  }

  private func add(_ gradient: Storage, times factor: Float) throws(CheckpointError) {
    let target = try first.gradientTarget()
    ck_scale(target.floats, gradient.floats, factor, target.accumulates, first.count)
  }
}
