import Checkpoint
import Testing

@testable import Training

/// 200 steps of torch's `fused=True`, compared bit by bit after each.
@Suite struct AdamTrajectoryTests {
  static let cases = [
    "plain", "weight_decay", "amsgrad", "maximize", "all", "groups", "beta1", "skips", "special",
  ]

  static func groups(_ name: String, _ parameters: [NamedParameter]) -> [ParameterGroup<AdamOptions>]? {
    guard name == "groups" else { return nil }
    return [
      ParameterGroup(Array(parameters[...2])) {
        $0.weightDecay = 0.1
        $0.lr = 0.003
      },
      ParameterGroup(Array(parameters[3...])) {
        $0.weightDecay = 0
        $0.betas = (0.8, 0.95)
        $0.eps = 1e-6
      },
    ]
  }

  @Test(arguments: ["adam", "adamw"], cases)
  func everyStepHasTorchsBits(file: String, name: String) throws {
    let fixture = try optimizerFixture(file)[name]
    let parameters = try Hashed.parameters()
    let optimizer = try makeOptimizer(fixture, parameters, groups: Self.groups(name, parameters))
    try expectChecksums(fixture, optimizer, parameters, steps: 1...200)
  }

  /// The state that torch had after 100 steps, taken over by an optimizer with other options.
  @Test(arguments: ["adam", "adamw"], ["weight_decay", "all", "skips"])
  func torchsRunGoesOnWithTorchsBits(file: String, name: String) throws {
    let fixture = try optimizerFixture(file)[name]
    let parameters = try Hashed.parameters()
    for (entry, stored) in zip(parameters, fixture["middle"]["parameters"].items) {
      let values = try stored.elements(Float.self)
      for index in values.indices { entry.parameter.storage.floats[index] = values[index] }
    }
    let state = try #require(OptimizerState(fixture["middle"]["optimizer"]))
    let optimizer: any TableOptimizer =
      file == "adam"
      ? try Adam(parameters: parameters, lr: 7, betas: (0.1, 0.2), eps: 1, weightDecay: 3)
      : try AdamW(parameters: parameters, lr: 7, betas: (0.1, 0.2), eps: 1, weightDecay: 3)
    // In 'skips', torch never had state for one of the parameters.
    let report = try optimizer.load(
      state, names: [], keepsOptions: false, allowMissing: name == "skips" ? [Glob("layer.1")] : [])
    #expect(report.withoutState == (name == "skips" ? ["layer.1"] : []))
    #expect(report.notes.allSatisfy { $0.contains("as stored, not") })
    try expectChecksums(fixture, optimizer, parameters, steps: 101...200)
  }

  private func expectChecksums(
    _ fixture: Value, _ optimizer: any TableOptimizer, _ parameters: [NamedParameter], steps: ClosedRange<Int>
  ) throws {
    let expected = try fixture["checksums"].elements(Int64.self)
    let columns = expected.count / 200
    #expect(columns >= 3)
    for step in steps {
      try Hashed.setGradients(
        parameters, step, skips: fixture["skips"].flag, special: fixture["special"].flag)
      try optimizer.step()
      var found = [Hashed.checksum(parameters.map(\.buffer))]
      for slot in 0..<columns - 1 { found.append(Hashed.checksum(optimizer.table.buffers(slot: slot))) }
      let row = Array(expected[(step - 1) * columns..<step * columns])
      try #require(found == row, "step \(step): parameters and slots \(zip(found, row).map { $0 == $1 })")
    }
    for (entry, stored) in zip(parameters, fixture["end"]["parameters"].items) {
      let values = try stored.elements(Float.self)
      #expect(zip(entry.values, values).allSatisfy { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) })
    }
  }
}
