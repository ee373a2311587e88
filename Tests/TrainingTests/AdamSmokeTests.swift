import Checkpoint
import Testing

@testable import Training

@Suite struct AdamSmokeTests {
  @Test func firstStepMovesByTheLearningRate() throws {
    let parameter = try Parameter(shape: [3])
    for index in 0..<3 { parameter.storage.floats[index] = 1 }
    let optimizer: any Optimizer = try AdamW(
      parameters: [NamedParameter("weight", parameter)], lr: 0.1, weightDecay: 0)
    let gradient = try Storage(byteCount: 12)
    for index in 0..<3 { gradient.floats[index] = Float(index - 1) }
    parameter.gradient = gradient
    try optimizer.step()
    #expect(abs(parameter.storage.floats[0] - 1.1) < 1e-6)
    #expect(parameter.storage.floats[1] == 1)
    #expect(abs(parameter.storage.floats[2] - 0.9) < 1e-6)
  }
}
