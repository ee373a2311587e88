import Checkpoint

/// Reads `schedule:`. Names and defaults are torch.optim.lr_scheduler's; `warmup` steps of a rising rate may come first.
enum ScheduleReader {
  static let names = ["constant", "linear", "cosine", "step", "multistep", "exponential", "onecycle"]

  static func read(_ node: ConfigNode?, lr: Double?, _ path: String, _ problems: ConfigProblems) -> ScheduleConfig {
    let constant = ScheduleConfig(name: "constant", place: node?.place ?? .stored, path: path)
    guard let node, let (entry, path) = ConfigChoice.one(of: names, "schedule", node, path, problems),
      var fields = ConfigFields(entry.value, path, problems)
    else { return constant }
    var schedule = ScheduleConfig(name: entry.key, place: entry.place, path: path)
    schedule.arguments = arguments(entry.key, lr, &fields)
    fields.end()
    return schedule
  }

  private typealias Arguments = [(key: String, value: Value)]

  private static func arguments(_ name: String, _ lr: Double?, _ fields: inout ConfigFields) -> Arguments {
    var found: Arguments = []
    if name != "onecycle", name != "linear" { count("warmup", atLeast: 0, default: 0, &fields, &found) }
    switch name {
    case "linear":
      number("start_factor", .positive, default: 1.0 / 3, &fields, &found)
      number("end_factor", .notNegative, default: 1, &fields, &found)
      count("total_iters", atLeast: 1, default: 5, &fields, &found)
    case "cosine":
      count("total", atLeast: 1, default: nil, &fields, &found)
      number("min_lr", .notNegative, default: 0, &fields, &found)
      check(found, lr, fields)
    case "step":
      if fields.required("step_size", "after how many steps the rate falls") != nil {
        count("step_size", atLeast: 1, default: 1, &fields, &found)
      }
      number("gamma", .positive, default: 0.1, &fields, &found)
    case "multistep":
      milestones(&fields, &found)
      number("gamma", .positive, default: 0.1, &fields, &found)
    case "exponential":
      if fields.required("gamma", "what the rate is multiplied by in each step") != nil {
        number("gamma", .positive, default: 1, &fields, &found)
      }
    case "onecycle": oneCycle(&fields, &found)
    default: break
    }
    return found
  }

  private static func oneCycle(_ fields: inout ConfigFields, _ found: inout Arguments) {
    if fields.required("max_lr", "the highest learning rate") != nil {
      number("max_lr", .positive, default: 1, &fields, &found)
    }
    count("total", atLeast: 1, default: nil, &fields, &found)
    number("pct_start", .fraction, default: 0.3, &fields, &found)
    found.append(("anneal_strategy", .string(fields.choice("anneal_strategy", ["cos", "linear"]) ?? "cos")))
    number("div_factor", .positive, default: 25, &fields, &found)
    number("final_div_factor", .positive, default: 1e4, &fields, &found)
  }

  private static func milestones(_ fields: inout ConfigFields, _ found: inout Arguments) {
    guard let node = fields.required("milestones", "the steps at which the rate falls") else { return }
    guard let numbers = fields.counts("milestones") else { return }
    if numbers != numbers.sorted() {
      fields.problems.add(node.place, fields.path("milestones"), "expected rising numbers, found \(numbers)")
    }
    found.append(("milestones", .sequence(.list, numbers.map { .int(Int64($0)) })))
  }

  private static func check(_ found: Arguments, _ lr: Double?, _ fields: ConfigFields) {
    guard case .double(let least)? = found.first(where: { $0.key == "min_lr" })?.value, let lr, least > lr else {
      return
    }
    let place = fields.entries.first { $0.key == "min_lr" }?.value.place ?? fields.place
    fields.problems.add(
      place, fields.path("min_lr"), "expected at most the optimizer's lr, \(lr), found \(least)")
  }

  private static func count(
    _ key: String, atLeast least: Int, default value: Int?, _ fields: inout ConfigFields, _ found: inout Arguments
  ) {
    guard let number = fields.count(key, atLeast: least) ?? value else { return }
    found.append((key, .int(Int64(number))))
  }

  private static func number(
    _ key: String, _ limit: Limit, default value: Double, _ fields: inout ConfigFields, _ found: inout Arguments
  ) {
    found.append((key, .double(fields.number(key, limit) ?? value)))
  }
}
