import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct KerasSlotTests {
  private func places(_ variables: [(String, [Int])]) throws -> [KerasReader.Place] {
    try variables.enumerated().map { index, variable in
      let (path, shape) = variable
      let bytes = BufferSource([UInt8](repeating: 0, count: shape.reduce(4, *)))
      let tensor = try Tensor(dtype: .float32, shape: shape, source: bytes)
      return KerasReader.Place(
        path: path.split(separator: "/").map(String.init), address: UInt64(index), tensor: tensor)
    }
  }

  @Test func slotsFollowTheSettings() throws {
    let averages = KerasOptimizerKind.adam.form(Dict([Dict.Entry(.string("use_ema"), .bool(true))]))
    #expect(averages.count(6) == 2)
    #expect(
      (0..<6).map { averages.slot($0, 2)?.0 } == [
        "average", "average", "exp_avg", "exp_avg_sq", "exp_avg", "exp_avg_sq",
      ])
    #expect((0..<6).map { averages.slot($0, 2)?.1 } == [0, 1, 0, 0, 1, 1])
    let centered = KerasOptimizerKind.rmsprop.form(
      Dict([Dict.Entry(.string("centered"), .bool(true)), Dict.Entry(.string("momentum"), .double(0))]))
    #expect(centered.after == ["grad_avg"])
  }

  /// Each normalisation was compared with all others: minutes for some thousands.
  @Test func groupsAreCountedOnce() throws {
    let variables = (0..<3000).flatMap { layer in
      (0..<4).map { ("layers/batch_normalization_\(layer)/vars/\($0)", [1]) }
    }
    let file = KerasFile(form: .weights, root: Dict(), places: try places(variables), warnings: [], bytes: 0)
    let names = KerasVariables(file, nil).names(fitting: Array(repeating: [1], count: 6000))
    #expect(names?.count == 6000 && names?.last == "layers.batch_normalization_2999.vars.1")
  }

  /// Each slot was looked for among all others.
  @Test func slotsAreFoundByAnIndex() throws {
    let tensor = try Tensor(dtype: .float32, shape: [1], source: BufferSource(elements: [Float(1)]))
    let range = 0..<20_000
    let entries = range.map { Dict.Entry(.string(String($0)), .tensor(tensor)) }
    let lines = range.map { "vars/\($0)\texp_avg\tlayer.\($0)\n" }.joined()
    let told = Dict([Dict.Entry(.string("slots"), .string(lines))])
    let optimizer = Dict(
      [Dict.Entry(.string("vars"), .dict(Dict(entries)))],
      attributes: [Record.Field(KerasOptimizer.attribute, .dict(told))])
    #expect(KerasOptimizer(.dict(optimizer))?.slots.count == range.count)
  }

  @Test func kernelsInTheLayoutOfCuDNNStay() throws {
    func layers(bias: Int) throws -> KerasLayers {
      let places = try places([
        ("lstm/lstm/kernel:0", [3, 8]), ("lstm/lstm/recurrent_kernel:0", [2, 8]), ("lstm/lstm/bias:0", [bias]),
      ])
      return KerasLayers(KerasFile(form: .legacy, root: Dict(), places: places, warnings: [], bytes: 0), nil)
    }
    #expect(try layers(bias: 8).layers.map(\.kind) == [.lstm])
    #expect(try layers(bias: 16).layers.isEmpty && layers(bias: 16).rest.count == 3)
  }
}
