import Checkpoint
import Testing

@testable import Training

/// Against the rates that torch's schedulers set (`schedules.pt`), which they compute step by step and we in closed form.
@Suite struct ScheduleTests {
  static let schedules: [(String, any Schedule)] = [
    ("constant", ConstantSchedule()), ("linear", LinearSchedule()),
    ("linear_down", LinearSchedule(startFactor: 1, endFactor: 0.1, totalIters: 40)),
    ("step", StepSchedule(stepSize: 7, gamma: 0.5)),
    ("multistep", MultiStepSchedule(milestones: [5, 20, 20, 41], gamma: 0.3)),
    ("exponential", ExponentialSchedule(gamma: 0.9)), ("cosine", CosineSchedule(total: 50, minimum: 0.01)),
    ("warmup_cosine", Warmup(steps: 9, next: CosineSchedule(total: 50, minimum: 0.01))),
    ("onecycle", OneCycleSchedule(maxRate: 0.1, total: 50)),
    (
      "onecycle_linear",
      OneCycleSchedule(
        maxRate: 0.1, total: 37, pctStart: 0.25, anneal: .linear, divFactor: 10, finalDivFactor: 50)
    ),
  ]

  @Test(arguments: schedules.indices) func ratesAreTorchs(index: Int) throws {
    let (name, schedule) = Self.schedules[index]
    let expected = try optimizerFixture("schedules")[name].elements(Double.self)
    #expect(expected.count >= 37)
    // torch's one-cycle lets one step beyond its end pass, with a rate beyond its curve.
    let end = (schedule as? OneCycleSchedule)?.total ?? expected.count
    for (place, rate) in expected.prefix(end).enumerated() {
      let found = schedule.learningRate(step: place + 1, base: 0.1)
      #expect(abs(found - rate) <= 1e-9 * rate, "\(name) at step \(place + 1): \(found), torch has \(rate)")
    }
  }

  /// torch's cosine would rise again, its one-cycle throw.
  @Test func atTheirEndTheyStay() {
    for step in [52, 100, 1_000_000_000] {
      #expect(CosineSchedule(total: 50, minimum: 0.01).learningRate(step: step, base: 0.1) == 0.01)
      #expect(OneCycleSchedule(maxRate: 0.1, total: 50).learningRate(step: step, base: 7) == 0.1 / 25 / 1e4)
      #expect(LinearSchedule(endFactor: 0.5).learningRate(step: step, base: 0.1) == 0.05)
    }
  }

  @Test func warmUpRisesInAStraightLineAndNeverFromZero() {
    let rates = (1...5).map { Warmup(steps: 4).learningRate(step: $0, base: 1) }
    #expect(rates == [0.2, 0.4, 0.6, 0.8, 1])
    #expect(Warmup(steps: 0).learningRate(step: 1, base: 1) == 1)
  }

  /// What a checkpoint keeps tells any two apart.
  @Test func valuesTellSchedulesApart() throws {
    var seen: Set<String> = []
    for (_, schedule) in Self.schedules {
      seen.insert(try ContentDigest.compute(schedule.value).hex)
      #expect(!schedule.value["name"].text.isEmpty)
    }
    #expect(seen.count == Self.schedules.count)
  }
}
