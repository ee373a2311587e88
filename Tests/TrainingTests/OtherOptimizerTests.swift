import Checkpoint
import Testing

@testable import Training

/// SGD, RMSprop, Adagrad, and Adam beside torch's default path, over 200 steps of real torch.
@Suite struct OtherOptimizerTests {
  private func run(_ name: String) throws -> (
    fixture: Value, optimizer: any TableOptimizer, parameters: [NamedParameter], sums: [[Int64]]
  ) {
    let fixture = try optimizerFixture("others")[name]
    let parameters = try Hashed.parameters()
    let optimizer = try makeOptimizer(fixture, parameters)
    let columns = try fixture["checksums"].elements(Int64.self).count / 200
    var sums: [[Int64]] = []
    for step in 1...200 {
      try Hashed.setGradients(parameters, step, skips: false, special: false)
      try optimizer.step()
      var row = [Hashed.checksum(parameters.map(\.buffer))]
      for slot in 0..<columns - 1 { row.append(Hashed.checksum(optimizer.table.buffers(slot: slot))) }
      sums.append(row)
    }
    return (fixture, optimizer, parameters, sums)
  }

  /// Every operation of these is rounded as IEEE says, in torch too.
  @Test(arguments: ["sgd", "sgd_momentum", "sgd_nesterov", "adagrad", "adagrad_all"])
  func everyStepHasTorchsBits(_ name: String) throws {
    let (fixture, _, _, sums) = try run(name)
    let expected = try fixture["checksums"].elements(Int64.self)
    #expect(sums.flatMap(\.self) == expected)
  }

  /// torch's square root is MKL's there, which is not correctly rounded, so the last bits of weights differ; with
  /// weight_decay they reach the slots through the gradient.
  @Test(arguments: ["rmsprop", "rmsprop_momentum", "rmsprop_centered", "rmsprop_all"])
  func rmspropIsTorchsWithinItsSquareRoot(_ name: String) throws {
    let (fixture, optimizer, parameters, _) = try run(name)
    for (entry, stored) in zip(parameters, fixture["end"]["parameters"].items) {
      expectClose(entry.values, try stored.elements(Float.self), within: 1e-6)
    }
    try forEachSlot(fixture, optimizer, ["square_avg"]) { expectClose($0, $1, within: 1e-6) }
  }

  /// AdamW without `fused=True`. `exp_avg` has the same bits throughout. So has `exp_avg_sq`, but for a tensor's last
  /// elements, count modulo 8, where torch's fused kernel, which we follow, contracts another product than its default
  /// path. Weights are 2e-8 apart at most.
  @Test(arguments: ["adamw_single", "adamw_foreach"])
  func torchsDefaultPathHasOurMoments(_ name: String) throws {
    let (fixture, optimizer, parameters, sums) = try run(name)
    let expected = try fixture["checksums"].elements(Int64.self)
    for step in 0..<200 { try #require(sums[step][1] == expected[3 * step + 1], "exp_avg of step \(step + 1)") }
    for (entry, stored) in zip(parameters, fixture["end"]["parameters"].items) {
      let differences = zip(entry.values, try stored.elements(Float.self)).map { abs($0 - $1) }
      #expect(differences.max() ?? 1 <= 2e-8)
    }
    try forEachSlot(fixture, optimizer, ["exp_avg", "exp_avg_sq"]) { found, expected in
      let whole = found.count / 8 * 8
      #expect(found[..<whole].map(\.bitPattern) == expected[..<whole].map(\.bitPattern))
      for (a, b) in zip(found[whole...], expected[whole...]) { #expect(abs(a - b) <= 1e-6 * abs(b)) }
    }
  }

  private func expectClose(_ found: [Float], _ expected: [Float], within tolerance: Float) {
    #expect(found.count == expected.count)
    for (a, b) in zip(found, expected) { #expect(abs(a - b) <= tolerance * max(1, abs(b))) }
  }

  /// The slots at the end, ours and torch's, parameter by parameter.
  private func forEachSlot(
    _ fixture: Value, _ optimizer: any TableOptimizer, _ slots: [String], _ check: ([Float], [Float]) -> Void
  ) throws {
    let theirs = try #require(OptimizerState(fixture["end"]["optimizer"]))
    let ours = try #require(OptimizerState(.dict(try optimizer.stateDict())))
    for id in 0..<Hashed.sizes.count {
      for slot in slots {
        let found = try #require(ours.slot(slot, of: .int(Int64(id)))).elements(Float.self)
        let expected = try #require(theirs.slot(slot, of: .int(Int64(id)))).elements(Float.self)
        #expect(found.count == Hashed.sizes[id] && expected.count == Hashed.sizes[id])
        check(found, expected)
      }
      #expect(try ours.step(of: .int(Int64(id))) == 200)
    }
  }

  /// torch's state after 100 steps, taken over; then on to the same bits.
  @Test(arguments: ["sgd_nesterov", "adagrad_all"]) func torchsRunGoesOn(_ name: String) throws {
    let fixture = try optimizerFixture("others")[name]
    let parameters = try Hashed.parameters()
    for (entry, stored) in zip(parameters, fixture["middle"]["parameters"].items) {
      for (index, value) in try stored.elements(Float.self).enumerated() {
        entry.parameter.storage.floats[index] = value
      }
    }
    let optimizer = try makeOptimizer(fixture, parameters)
    try optimizer.load(try #require(OptimizerState(fixture["middle"]["optimizer"])))
    let expected = try fixture["checksums"].elements(Int64.self)
    for step in 101...200 {
      try Hashed.setGradients(parameters, step, skips: false, special: false)
      try optimizer.step()
      #expect(Hashed.checksum(parameters.map(\.buffer)) == expected[(step - 1) * 2])
      #expect(Hashed.checksum(optimizer.table.buffers(slot: 0)) == expected[(step - 1) * 2 + 1])
    }
  }

  /// A state dict has the slots that torch's has, under its names.
  @Test(arguments: ["sgd_momentum", "rmsprop_all", "adagrad_all"]) func slotsHaveTorchsNames(_ name: String) throws {
    let (fixture, optimizer, _, _) = try run(name)
    func names(_ state: Value) -> Set<String> {
      guard case .dict(let dict) = state["state"], case .dict(let slots)? = dict[.int(0)] else { return [] }
      return Set(slots.names)
    }
    func options(_ state: Value) -> Set<String> {
      guard case .dict(let group)? = state["param_groups"].items.first else { return [] }
      return Set(group.names)
    }
    let (ours, theirs) = (Value.dict(try optimizer.stateDict()), fixture["end"]["optimizer"])
    #expect(names(ours) == names(theirs) && !names(ours).isEmpty)
    #expect(options(theirs).subtracting(options(ours)).isEmpty)
  }
}
