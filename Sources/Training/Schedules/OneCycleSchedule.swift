public import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Up to a highest rate and down to almost nothing, which then stays: `OneCycleLR` with `cycle_momentum=False`. The
/// optimizer's own learning rate plays no part.
public struct OneCycleSchedule: Schedule {
  /// How the rate gets from one value to the next.
  public enum Anneal: String, Sendable { case cos, linear }

  public var maxRate: Double
  public var total: Int
  public var pctStart: Double
  public var anneal: Anneal
  public var divFactor: Double
  public var finalDivFactor: Double

  public init(
    maxRate: Double, total: Int, pctStart: Double = 0.3, anneal: Anneal = .cos, divFactor: Double = 25,
    finalDivFactor: Double = 1e4
  ) {
    self.maxRate = maxRate
    self.total = total
    self.pctStart = pctStart
    self.anneal = anneal
    self.divFactor = divFactor
    self.finalDivFactor = finalDivFactor
  }

  public func learningRate(step: Int, base: Double) -> Double {
    let initial = maxRate / divFactor
    let (peak, last, at) = (pctStart * Double(total) - 1, Double(total - 1), Double(step - 1))
    if at <= peak || peak >= last { return between(initial, maxRate, peak > 0 ? min(at / peak, 1) : 1) }
    return between(maxRate, initial / finalDivFactor, min((at - peak) / (last - peak), 1))
  }

  private func between(_ start: Double, _ end: Double, _ part: Double) -> Double {
    switch anneal {
    case .cos: end + (start - end) / 2 * (1 + cos(.pi * part))
    case .linear: start + (end - start) * part
    }
  }

  public var value: Value {
    .dict(
      Dict([
        "name": .string("onecycle"), "max_lr": .double(maxRate), "total": .int(Int64(total)),
        "pct_start": .double(pctStart), "anneal_strategy": .string(anneal.rawValue), "div_factor": .double(divFactor),
        "final_div_factor": .double(finalDivFactor),
      ]))
  }
}
