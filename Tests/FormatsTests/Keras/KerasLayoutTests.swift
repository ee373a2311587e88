import Checkpoint
import Testing

@testable import CheckpointFormats

/// Kernels the way of the other framework. That its modules then compute the same is told by the peer tests.
@Suite struct KerasLayoutTests {
  private let folder = TemporaryFolder()

  private func torch(_ name: String) throws -> Checkpoint {
    try readKeras(name) { $0.layout = .torch }.checkpoint
  }

  private func numbers(_ tensor: Tensor?) throws -> [Float] { try #require(tensor).elements(as: Float.self) }

  @Test func namesAndShapesAreThoseOfModules() throws {
    let checkpoint = try torch("small.keras")
    guard case .dict(let model)? = checkpoint.root.entry(named: "model") else { return #expect(Bool(false)) }
    let shapes = model.entries.map { entry -> String in
      guard case .tensor(let tensor) = entry.value else { return "" }
      return "\(entry.key.text) \(tensor.shape)"
    }
    #expect(
      shapes == [
        "conv2d.weight [3, 2, 3, 2]", "conv2d.bias [3]", "batch_normalization.weight [3]",
        "batch_normalization.bias [3]", "batch_normalization.running_mean [3]", "batch_normalization.running_var [3]",
        "depthwise_conv2d.weight [3, 1, 2, 2]", "depthwise_conv2d.bias [3]", "dense.weight [5, 36]", "dense.bias [5]",
        "layer_normalization.weight [5]", "layer_normalization.bias [5]", "dense_1.weight [2, 5]", "dense_1.bias [2]",
      ])
    #expect(model.kind == .ordered)
    #expect(checkpoint.root.entry(named: "keras") == nil)
  }

  @Test func kernelsAndTheirMomentsAreTransposedAlike() throws {
    let plain = try readKeras("small.keras").checkpoint.root
    let lens = try #require(plain.entry(named: "optimizer").flatMap { KerasOptimizer($0) })
    let paths = try plain.tensorsByPath
    let root = try torch("small.keras").root
    let converted = try root.tensorsByPath
    let names = try #require(ParameterNames.resolve(in: root).first)
    let position = try #require(names.names.names.firstIndex(of: "dense.weight"))
    for (slot, tensor) in [
      ("", paths["layers.dense.vars.0"]),
      ("exp_avg", lens.slots.first { $0.parameter == "layers.dense.vars.0" && $0.name == "exp_avg" }?.tensor),
    ] {
      let keras = try numbers(tensor)
      let torch = try numbers(
        converted[slot.isEmpty ? "model.dense.weight" : "optimizer.state.\(position).\(slot)"])
      for (row, column) in [(0, 0), (4, 7), (2, 35)] { #expect(torch[row * 36 + column] == keras[column * 5 + row]) }
    }
    let optimizer = try #require(root.entry(named: "optimizer").flatMap { OptimizerState($0) })
    #expect(try optimizer.step() == 2 && optimizer.algorithm.name == "Adam" && optimizer.keys.count == 12)
  }

  @Test func epsilonIsSaidToDiffer() throws {
    let warnings = try torch("text.keras").warnings
    #expect(warnings.contains { $0.contains("Keras adds 1e-07 to sqrt(v)") && $0.contains("at step 2 is 2.2366") })
    #expect(warnings.contains { $0.contains("bias_hh is zero") })
    let group = try #require(
      try torch("text.keras").root.entry(named: "optimizer").flatMap { OptimizerState($0) }?.groups.first)
    guard case .double(0.05)? = group["weight_decay"], case .bool(true)? = group["decoupled_weight_decay"] else {
      return #expect(Bool(false))
    }
  }

  @Test func gatesChangeTheirPlaces() throws {
    // One unit, so a block is a number: z, r, h become r, z, n.
    let kernel = try Tensor(dtype: .float32, shape: [2, 3], source: BufferSource(elements: (1...6).map { Float($0) }))
    let form = try #require(try KerasForm.torch(.gru, .kernel).first)
    #expect(try form.change(kernel).elements(as: Float.self) == [2, 5, 1, 4, 3, 6])
    let lstm = try Tensor(dtype: .float32, shape: [1, 4], source: BufferSource(elements: (1...4).map { Float($0) }))
    #expect(try KerasForm.torch(.lstm, .kernel)[0].change(lstm).elements(as: Float.self) == [1, 2, 3, 4])
    let old = try Tensor(dtype: .float32, shape: [3], source: BufferSource(elements: (1...3).map { Float($0) }))
    let error = #expect(throws: CheckpointError.self) { try KerasForm.torch(.gru, .bias)[0].change(old) }
    #expect(error?.message.contains("reset_after=False") == true)
  }

  /// Both ways give the same file, but for what Keras' weights do not hold.
  @Test(arguments: ["small.keras", "text.keras", "keras2.h5", "keras3.h5"])
  func thereAndBackNothingIsLost(_ name: String) throws {
    let there = try torch(name).root
    let path = folder.file("a.weights.h5")
    var options = Format.WriteOptions()
    options.layout = .keras
    _ = try KerasWriter.write(there, to: path, options)
    let back = try Format.input(path).read(
      path,
      {
        var o = Format.ReadOptions(); o.layout = .torch; return o
      }())
    let a = try there.tensorsByPath
    let b = try back.checkpoint.root.tensorsByPath
    #expect(Set(a.keys.filter { $0.hasPrefix("optimizer") }) == Set(b.keys.filter { $0.hasPrefix("optimizer") }))
    guard case .dict(let x)? = there.entry(named: "model"),
      case .dict(let y)? = back.checkpoint.root.entry(named: "model")
    else { return #expect(Bool(false)) }
    // Names of layers become Keras' own.
    for (first, second) in zip(x.entries, y.entries) {
      guard case .tensor(let p) = first.value, case .tensor(let q) = second.value else { continue }
      #expect(try p.shape == q.shape && p.digest() == q.digest(), "\(first.key.text)")
    }
    #expect(x.count == y.count)
    for (name, tensor) in a where name.hasPrefix("optimizer") {
      #expect(try tensor.digest() == b[name]?.digest(), "\(name)")
    }
  }

  @Test func modulesThatKerasDoesNotHaveAreNamed() throws {
    let root = dict(
      ("fc.weight", try tensor([1, 2], [1, 2])), ("fc.bias", try tensor([3], [1])), ("scale", try tensor([4], [1])))
    let (tree, warnings) = try TorchToKeras.convert(root)
    #expect(try Value.dict(tree).tensorsByPath.keys.sorted() == ["layers.dense.vars.0", "layers.dense.vars.1"])
    #expect(warnings.contains { $0.contains("left out") && $0.contains("scale") })
    let error = #expect(throws: CheckpointError.self) {
      try TorchToKeras.convert(dict(("scale", try tensor([4], [1]))))
    }
    #expect(error?.code == .usage)
  }

  @Test func withoutAKnownLayerThereIsNoTorchLayout() throws {
    let error = #expect(throws: CheckpointError.self) { try torch("keras1_weights.h5") }
    #expect(error?.code == .usage)
  }
}
