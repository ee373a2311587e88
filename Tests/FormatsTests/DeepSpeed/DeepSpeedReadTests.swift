import Checkpoint
import Testing

@testable import CheckpointFormats

/// Folders that real DeepSpeed wrote on 2 processes.
let deepSpeedFixtures = namesIn("\(fixtureFolder)/deepspeed").filter { $0 != "expected" }

@Suite struct DeepSpeedReadTests {
  private func dict(_ name: String) throws -> Dict {
    guard case .dict(let dict) = try readFolder("\(fixtureFolder)/deepspeed/\(name)") else { return Dict() }
    return dict
  }

  /// Stages 0 to 3, float32 and bfloat16, several rows, odd sizes, what is not trained: what the engine itself had.
  @Test(arguments: deepSpeedFixtures)
  func findsWhatTheEngineHad(_ name: String) throws {
    var root = try dict(name)
    root.entries.removeAll { $0.key == .string("training") }
    // The expectation says nothing of `_metadata`.
    guard case .dict(let model)? = root["model"], root.entries.first?.key == .string("model") else {
      return #expect(Bool(false))
    }
    root.entries[0].value = .dict(Dict(model.entries))
    let lines = try TorchDump.lines(.dict(root))
    let wanted = String(
      decoding: try fileBytes("\(fixtureFolder)/deepspeed/expected/\(truth(name)).txt"), as: UTF8.self
    )
    .split(separator: "\n").map(String.init)
    for (found, wanted) in zip(lines, wanted) { #expect(found == wanted) }
    #expect(lines.count == wanted.count)
  }

  /// A universal checkpoint is made of another.
  private func truth(_ name: String) -> String {
    name.hasPrefix("universal_") ? String(name.dropFirst("universal_".count)) : name
  }

  @Test func allKindsAreThere() { #expect(deepSpeedFixtures.count >= 7) }

  /// Optimizers count each tensor of `step` up: one that several parameters share would be counted several times.
  @Test(arguments: deepSpeedFixtures.filter { $0 != "ddp" })
  func eachParameterHasAStepOfItsOwn(_ name: String) throws {
    guard let value = try dict(name)["optimizer"], let optimizer = OptimizerState(value) else {
      return #expect(Bool(false))
    }
    let sources = optimizer.keys.compactMap { key in
      if case .tensor(let step)? = optimizer.slot("step", of: key) { ObjectIdentifier(step.source) } else { nil }
    }
    #expect(sources.count == 6 && Set(sources).count == 6)
  }

  @Test(arguments: deepSpeedFixtures)
  func isRecognisedAndSound(_ name: String) throws {
    let path = "\(fixtureFolder)/deepspeed/\(name)"
    let format = try Format.input(path)
    #expect(format.id == (name.hasPrefix("universal") ? "deepspeed-universal" : "deepspeed"))
    let report = try format.verify(path)
    #expect(report.problems.isEmpty, "\(report.problems)")
    #expect(report.checked.count == 2)
  }

  /// The folder of the step says as much as the one above it.
  @Test(arguments: deepSpeedFixtures)
  func theFolderOfTheStepDoesToo(_ name: String) throws {
    let step = name.hasPrefix("universal") ? "global_step3_universal" : "global_step3"
    #expect(try TorchDump.lines(.dict(dict("\(name)/\(step)"))) == TorchDump.lines(.dict(dict(name))))
  }

  @Test(arguments: deepSpeedFixtures)
  func keepsWhatElseTheRunHad(_ name: String) throws {
    guard case .dict(let training)? = try dict(name)["training"] else { return #expect(Bool(false)) }
    guard case .int(3)? = training["global_steps"], case .int(2)? = training["epoch"],
      case .sequence(.list, let losses)? = training["losses"], case .dict(let schedule)? = training["lr_scheduler"],
      case .dict? = training["ds_config"]
    else { return #expect(Bool(false), "\(training.entries.map(\.key))") }
    #expect(losses.count == 2)
    #expect(schedule["last_epoch"] != nil)
    #expect(training["module"] == nil && training["param_shapes"] == nil)
  }

  /// Parameters' names are the optimizer's keys, and all of its own.
  @Test(arguments: deepSpeedFixtures.filter { $0 != "ddp" })
  func optimizersAreOptimizers(_ name: String) throws {
    guard let value = try dict(name)["optimizer"], let optimizer = OptimizerState(value) else {
      return #expect(Bool(false))
    }
    #expect(optimizer.groups.count == 2)
    #expect(optimizer.keys.count == 6)
    #expect(optimizer.orphans.isEmpty)
    #expect(try optimizer.step() == 3)
    #expect(Set(optimizer.slotNames) == ["step", "exp_avg", "exp_avg_sq"])
  }
}
