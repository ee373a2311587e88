import Checkpoint
import Testing

@testable import Training

@Suite(.serialized) struct AdamTests {
  private static func parameter(_ size: Int) throws -> Parameter {
    let parameter = try Parameter(shape: [size])
    Hashed.fill(parameter.storage.floats, size, 0, size)
    return parameter
  }

  private static func setGradient(_ parameter: Parameter, step: Int, times factor: Float = 1) throws {
    let gradient = try Hashed.gradient(parameter.count, step, parameter.count, special: false)
    for index in 0..<parameter.count { gradient.floats[index] *= factor }
    parameter.gradient = gradient
  }

  private static func bits(_ parameter: Parameter) -> [UInt32] { parameter.values.map(\.bitPattern) }

  @Test func theNumberOfThreadsDoesNotChangeABit() throws {
    let before = Threads.count
    defer { Threads.count = before }
    let results = try [1, 2, 3].map { threads in
      Threads.count = threads
      let parameters = try [100_003, 7, 70_000].map { try Self.parameter($0) }
      let optimizer = try AdamW(parameters: parameters.map { NamedParameter("\($0.count)", $0) })
      for step in 1...3 {
        for parameter in parameters { try Self.setGradient(parameter, step: step) }
        try optimizer.step()
      }
      return parameters.flatMap(Self.bits)
    }
    #expect(results[0] == results[1])
    #expect(results[0] == results[2])
  }

  @Test func aFactorScalesTheGradientsFirst() throws {
    let (plain, scaled) = (try Self.parameter(21), try Self.parameter(21))
    let (one, other) = (
      try Adam(parameters: [NamedParameter("w", plain)]), try Adam(parameters: [NamedParameter("w", scaled)])
    )
    for step in 1...5 {
      try Self.setGradient(plain, step: step)
      try Self.setGradient(scaled, step: step, times: 2)
      try one.step()
      try other.step(scalingGradientsBy: 0.5)
    }
    #expect(Self.bits(plain) == Self.bits(scaled))
  }

  @Test func groupsHaveValuesOfTheirOwnAndWhatHasNoGradientIsSkipped() throws {
    let (weight, bias, idle) = (try Self.parameter(9), try Self.parameter(9), try Self.parameter(9))
    let untouched = Self.bits(idle)
    let optimizer = try AdamW(groups: [
      ParameterGroup([NamedParameter("weight", weight), NamedParameter("idle", idle)]),
      ParameterGroup([NamedParameter("bias", bias)]) {
        $0.lr = 0.5
        $0.weightDecay = 0
      },
    ])
    try Self.setGradient(weight, step: 1)
    try Self.setGradient(bias, step: 1)
    try optimizer.step()
    #expect(Self.bits(idle) == untouched)
    #expect(Self.bits(weight) != Self.bits(bias))
    let state = try #require(OptimizerState(.dict(try optimizer.stateDict())))
    #expect(state.groups.map(\.paramNames) == [["weight", "idle"], ["bias"]])
    #expect(state.keys == [.int(0), .int(1), .int(2)])
    guard case .double(0.5)? = state.groups[1]["lr"], case .double(0.01)? = state.groups[0]["weight_decay"] else {
      throw CheckpointError(.damaged, "\(state.groups)")
    }
    #expect(state.slots(of: .int(1))?.count == 0)
    #expect(try state.step(of: .int(2)) == 1)
    optimizer.zeroGrad()
    let after = Self.bits(weight)
    try optimizer.step()
    #expect(Self.bits(weight) == after)
  }

  @Test func aParameterGivenTwiceIsNamed() throws {
    let weight = try Self.parameter(3)
    let error = #expect(throws: CheckpointError.self) {
      _ = try Adam(parameters: [NamedParameter("a", weight), NamedParameter("b", weight)])
    }
    #expect(error?.message == "'b' and 'a' are one parameter, given to the optimizer twice")
    #expect(throws: CheckpointError.self) { _ = try Adam(parameters: [NamedParameter("a", weight)], betas: (1, 0.9)) }
  }
}
