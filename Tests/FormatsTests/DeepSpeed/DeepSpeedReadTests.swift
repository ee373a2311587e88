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
    let lines = try TorchDump.lines(.dict(root))
    let wanted = String(decoding: try fileBytes("\(fixtureFolder)/deepspeed/expected/\(name).txt"), as: UTF8.self)
      .split(separator: "\n").map(String.init)
    for (found, wanted) in zip(lines, wanted) { #expect(found == wanted) }
    #expect(lines.count == wanted.count)
  }

  @Test func allKindsAreThere() { #expect(deepSpeedFixtures.count >= 8) }

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
