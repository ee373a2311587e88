public import Checkpoint

/// The learning rate of each step, as a function of the step alone: nothing is kept that could be lost.
///
/// Values are those of `torch.optim.lr_scheduler`, in closed form.
public protocol Schedule: Sendable {
  /// The learning rate of a step, counted from 1; `base` is what the optimizer's group began with.
  func learningRate(step: Int, base: Double) -> Double

  /// The schedule's name and numbers, as a checkpoint keeps them.
  var value: Value { get }
}

/// The learning rates that the optimizer has.
public struct ConstantSchedule: Schedule {
  public init() {}

  public func learningRate(step: Int, base: Double) -> Double { base }

  public var value: Value { .dict(Dict(["name": .string("constant")])) }
}

/// Rising rates for the first steps, then another schedule from its beginning on: `SequentialLR` of
/// `LinearLR(start_factor=1 / (steps + 1), total_iters=steps)` and that schedule.
public struct Warmup: Schedule {
  public var steps: Int
  public var next: any Schedule

  public init(steps: Int, next: any Schedule = ConstantSchedule()) {
    self.steps = steps
    self.next = next
  }

  public func learningRate(step: Int, base: Double) -> Double {
    guard step <= steps else { return next.learningRate(step: step - steps, base: base) }
    return base * Double(step) / Double(steps + 1)
  }

  public var value: Value {
    guard case .dict(var dict) = next.value else { return next.value }
    dict.entries.append(Dict.Entry(.string("warmup"), .int(Int64(steps))))
    return .dict(dict)
  }
}
