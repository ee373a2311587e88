public import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A factor that goes from one value to another in a straight line: `LinearLR`.
public struct LinearSchedule: Schedule {
  public var startFactor: Double
  public var endFactor: Double
  public var totalIters: Int

  public init(startFactor: Double = 1.0 / 3, endFactor: Double = 1, totalIters: Int = 5) {
    self.startFactor = startFactor
    self.endFactor = endFactor
    self.totalIters = totalIters
  }

  public func learningRate(step: Int, base: Double) -> Double {
    guard step - 1 < totalIters else { return base * endFactor }
    return base * (startFactor + (endFactor - startFactor) * Double(step - 1) / Double(totalIters))
  }

  public var value: Value {
    .dict(
      Dict([
        "name": .string("linear"), "start_factor": .double(startFactor), "end_factor": .double(endFactor),
        "total_iters": .int(Int64(totalIters)),
      ]))
  }
}

/// Half a cosine down to a least rate, which then stays: `CosineAnnealingLR` with `T_max` steps and `eta_min`, which
/// would rise again.
public struct CosineSchedule: Schedule {
  /// The step after which the rate is the least.
  public var total: Int
  public var minimum: Double

  public init(total: Int, minimum: Double = 0) {
    self.total = total
    self.minimum = minimum
  }

  public func learningRate(step: Int, base: Double) -> Double {
    guard step - 1 < total else { return minimum }
    return minimum + (base - minimum) * (1 + cos(.pi * Double(step - 1) / Double(total))) / 2
  }

  public var value: Value {
    .dict(Dict(["name": .string("cosine"), "total": .int(Int64(total)), "min_lr": .double(minimum)]))
  }
}

/// A rate that is multiplied every so many steps: `StepLR`.
public struct StepSchedule: Schedule {
  public var stepSize: Int
  public var gamma: Double

  public init(stepSize: Int, gamma: Double = 0.1) {
    self.stepSize = stepSize
    self.gamma = gamma
  }

  public func learningRate(step: Int, base: Double) -> Double {
    base * pow(gamma, Double((step - 1) / max(stepSize, 1)))
  }

  public var value: Value {
    .dict(Dict(["name": .string("step"), "step_size": .int(Int64(stepSize)), "gamma": .double(gamma)]))
  }
}

/// A rate that is multiplied at given steps, more than once where one is given more than once: `MultiStepLR`.
public struct MultiStepSchedule: Schedule {
  public var milestones: [Int]
  public var gamma: Double

  public init(milestones: [Int], gamma: Double = 0.1) {
    self.milestones = milestones
    self.gamma = gamma
  }

  public func learningRate(step: Int, base: Double) -> Double {
    base * pow(gamma, Double(milestones.count { $0 <= step - 1 }))
  }

  public var value: Value {
    .dict(
      Dict([
        "name": .string("multistep"), "milestones": .sequence(.list, milestones.map { .int(Int64($0)) }),
        "gamma": .double(gamma),
      ]))
  }
}

/// A rate that is multiplied at every step: `ExponentialLR`.
public struct ExponentialSchedule: Schedule {
  public var gamma: Double

  public init(gamma: Double) { self.gamma = gamma }

  public func learningRate(step: Int, base: Double) -> Double { base * pow(gamma, Double(step - 1)) }

  public var value: Value { .dict(Dict(["name": .string("exponential"), "gamma": .double(gamma)])) }
}

/// `base` to the power of `exponent`.
func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
