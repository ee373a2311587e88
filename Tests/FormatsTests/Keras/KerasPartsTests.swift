import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct KerasPartsTests {
  private func places(_ variables: [(String, [Int])]) throws -> [KerasReader.Place] {
    try variables.enumerated().map { index, variable in
      let (path, shape) = variable
      let bytes = BufferSource([UInt8](repeating: 0, count: shape.reduce(4, *)))
      let tensor = try Tensor(dtype: .float32, shape: shape, source: bytes)
      return KerasReader.Place(
        path: path.split(separator: "/").map(String.init), address: UInt64(index), tensor: tensor)
    }
  }

  private func sorted(_ variables: [(String, [Int])]) throws -> (paths: [String], unclear: String?) {
    let (places, unclear) = KerasParts(nil).sorted(try places(variables))
    return (places.map { $0.path.joined(separator: "/") }, unclear)
  }

  @Test func halvesComeForwardFirst() throws {
    let (paths, unclear) = try sorted([
      ("layers/dense/vars/0", [4]), ("layers/bidirectional_1/backward_layer/cell/vars/0", [4]),
      ("layers/bidirectional_1/forward_layer/cell/vars/0", [4]), ("layers/dense_1/vars/0", [4]),
    ])
    #expect(unclear == nil)
    #expect(
      paths == [
        "layers/dense/vars/0", "layers/bidirectional_1/forward_layer/cell/vars/0",
        "layers/bidirectional_1/backward_layer/cell/vars/0", "layers/dense_1/vars/0",
      ])
  }

  @Test func partsOfOneShapeAreUnclear() throws {
    #expect(try sorted([("layers/own/a/vars/0", [4]), ("layers/own/z/vars/0", [4])]).unclear == "/layers/own")
    #expect(try sorted([("layers/own/a/vars/0", [4]), ("layers/own/z/vars/0", [3])]).unclear == nil)
    // A model with attributes beside its list of layers is one layer.
    #expect(try sorted([("a/vars/0", [4]), ("layers/dense/vars/0", [4])]).unclear == "/")
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
}
