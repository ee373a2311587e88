import Checkpoint
import Training

extension ScheduleConfig {
  /// The schedule of a run of `total` steps.
  func schedule(total: Int) -> any Schedule {
    let warmup = int("warmup") ?? 0
    let own = schedule(total: int("total") ?? total, warmup: warmup)
    return warmup > 0 ? Warmup(steps: warmup, next: own) : own
  }

  private func schedule(total: Int, warmup: Int) -> any Schedule {
    switch name {
    case "linear":
      LinearSchedule(
        startFactor: number("start_factor"), endFactor: number("end_factor"), totalIters: int("total_iters") ?? 1)
    // The total counts the warm-up; what follows it has the rest.
    case "cosine": CosineSchedule(total: total - warmup, minimum: number("min_lr"))
    case "step": StepSchedule(stepSize: int("step_size") ?? 1, gamma: number("gamma"))
    case "multistep": MultiStepSchedule(milestones: ints("milestones"), gamma: number("gamma"))
    case "exponential": ExponentialSchedule(gamma: number("gamma"))
    case "onecycle":
      OneCycleSchedule(
        maxRate: number("max_lr"), total: total, pctStart: number("pct_start"),
        anneal: anneal, divFactor: number("div_factor"),
        finalDivFactor: number("final_div_factor"))
    default: ConstantSchedule()
    }
  }

  private var anneal: OneCycleSchedule.Anneal {
    guard case .string(let name)? = self["anneal_strategy"] else { return .cos }
    return OneCycleSchedule.Anneal(rawValue: name) ?? .cos
  }

  private func int(_ key: String) -> Int? {
    if case .int(let number)? = self[key] { Int(number) } else { nil }
  }

  private func number(_ key: String) -> Double {
    if case .double(let number)? = self[key] { number } else { 0 }
  }

  private func ints(_ key: String) -> [Int] {
    guard case .sequence(_, let values)? = self[key] else { return [] }
    return values.compactMap { if case .int(let number) = $0 { Int(number) } else { nil } }
  }
}
