import Testing

@testable import ckpt_train

@Suite struct OverrideTests {
  @Test func valuesAreChanged() throws {
    let config = try Configs.read(
      Configs.mlp,
      set: [
        "optimizer.adamw.lr=3e-4", "model.sequential.0.linear.out=64", "model.sequential.3.linear.in=64", "ema=0.99",
        "checkpoint.every=5", "optimizer.adamw.no_decay=['*.bias']", "data.validation=",
      ])
    #expect(config.optimizer.lr == 3e-4)
    #expect(config.ema == 0.99)
    #expect(config.checkpoint.every == 5)
    #expect(config.optimizer.noDecay.map(\.value) == ["*.bias"])
    #expect(config.data.validation == nil)
    guard case .sequential(let layers) = config.model, case .linear(_, let outputs, _) = layers[0].kind else {
      Issue.record("no linear layer")
      return
    }
    #expect(outputs == 64)
  }

  @Test(arguments: [
    (
      "optimizer.adamw.weight_decy=0.1",
      "optimizer.adamw: there is no key 'weight_decy' here; did you mean 'weight_decay'?"
    ),
    ("optimizer.adamw.lr=fast", "optimizer.adamw.lr: expected a number greater than 0, found 'fast'"),
    ("optimiser.adamw.lr=1", "there is no key 'optimiser' here; did you mean 'optimizer'?"),
    (
      "model.sequential.9.linear.out=64",
      "model.sequential: expected a number of a list with the numbers 0 to 3, found '9'"
    ),
    ("model.sequential.x=64", "model.sequential: expected a number of a list with the numbers 0 to 3, found 'x'"),
    ("seed.x=1", "seed: expected a map or a list to go into with 'x', found 7"),
    ("a..b=1", "expected keys joined with '.', found 'a..b'"),
    ("seed=[", "is no YAML: while parsing a flow node, did not find expected node content"),
  ])
  func errorsNameTheOption(text: String, message: String) {
    #expect(Configs.problems(Configs.mlp, set: [text]) == ["--set \(text): \(message)"])
  }

  @Test func shapeErrorsOfChangedLayersNameTheirPlace() {
    let problems = Configs.problems(Configs.mlp, set: ["model.sequential.0.linear.out=64"])
    #expect(
      problems == [
        "run.yaml:7:7: model.sequential.3.linear: expected [N, …, 512], found [N, …, 64] from model.sequential.0.linear"
      ])
  }

  @Test func onlyTheCommandLineIsWrong() {
    do {
      _ = try Configs.read(Configs.mlp, set: ["seed=x"])
      Issue.record("no error")
    } catch {
      #expect(error.exitCode == 64)
    }
  }
}
