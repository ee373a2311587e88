import Checkpoint
import Testing
@testable import Training
@Suite struct TmpErr {
  @Test func show() throws {
    for f in EngineCase.modules where f.name == "gpt" {
      let module = try GPT(layers: 2, heads: 2, width: 8, context: 72, vocab: 13)
      try module.loadStateDict(f.state)
      let inputs = try f.inputs()
      let output = try module(inputs[0])
      try f.goBack(from: output)
      var all: [(Float, String)] = []
      for p in module.namedParameters() { all.append((try error(p.parameter.grad, f.gradient(p.name)) * 1e6, p.name)) }
      all.sort { $0.0 > $1.0 }
      print("ERR out", try error(output, f.tensor("output")) * 1e6, all.prefix(6))
    }
  }
}
