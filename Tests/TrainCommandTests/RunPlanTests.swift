import ArgumentParser
import Checkpoint
import CommandSupport
import Testing

@testable import ckpt_train

@Suite struct RunPlanTests {
  private let scratch = Scratch()

  /// RUN-15: neither the folder of the run nor the number of threads; the rest as written, overrides in place.
  @Test func theStoredConfigIsWhatWasWritten() throws {
    let path = scratch.write("run.yaml", Array(("threads: 2\n" + Configs.mlp).utf8))
    let arguments = try TrainArguments.parse([path, "--out", scratch.path("elsewhere"), "--set", "data.batch=32"])
    let plan = try RunPlan(arguments)
    #expect(plan.out == scratch.path("elsewhere"))
    #expect(plan.config.threads == 2)
    guard case .dict(let stored) = plan.node.value, case .dict(let data)? = stored["data"] else {
      throw CheckpointError(.damaged, "no dict")
    }
    let keys = stored.entries.map { "\($0.key.text)" }
    #expect(keys == ["seed", "model", "data", "loss", "optimizer", "steps"])
    guard case .int(32)? = data["batch"], case .dict(let train)? = data["train"],
      case .string("train.npz")? = train["file"]
    else { throw CheckpointError(.damaged, "another batch or file") }
  }
}
