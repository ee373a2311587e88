import Checkpoint
import Testing

@testable import CheckpointFormats

/// Files that real Keras 3 wrote, and files as Keras 1 and 2 wrote them, against what h5py finds in them.
@Suite struct KerasReadTests {
  static let files = [
    ("small.weights.h5", "small", "keras-weights"), ("small.keras", "small", "keras-archive"),
    ("text.keras", "text", "keras-archive"), ("bfloat16.weights.h5", "bfloat16", "keras-weights"),
    ("shards/tiny.weights.json", "shards/tiny", "keras-weights"), ("keras2.h5", "keras2", "keras-h5"),
    ("keras1_weights.h5", "keras1_weights", "keras-h5"), ("keras3.h5", "keras3", "keras-h5"),
  ]

  @Test(arguments: files)
  func tensorsAreWhatH5pyFinds(_ file: String, _ record: String, _ id: String) throws {
    #expect(try Format.input(kerasFixture(file)).id == id)
    let expected = try KerasExpected(record).tensors
    let found = try readKeras(file).checkpoint.root.tensorsByPath
    #expect(Set(found.keys) == Set(expected.keys))
    for (path, tensor) in found {
      let wanted = try #require(expected[path])
      #expect(tensor.dtype.rawValue == wanted.dtype && tensor.shape == wanted.shape, "\(path)")
      let digest = try tensor.digest(.sha256).description
      #expect(digest.hasPrefix("sha256:\(wanted.sha256)"), "\(path)")
    }
  }

  @Test(arguments: files)
  func theOptimizersTensorsAreTold(_ file: String, _ record: String, _ id: String) throws {
    let expected = try KerasExpected(record).slots
    let root = try readKeras(file).checkpoint.root
    let sections = Recogniser.sections(in: root).filter { $0.kind == .optimizer }
    guard !expected.isEmpty else { return #expect(sections.isEmpty) }
    let section = try #require(sections.first)
    let optimizer = try #require(root[section.path].flatMap { KerasOptimizer($0) })
    let paths = try root.tensorsByPath
    for (path, wanted) in expected {
      let tensor = try #require(paths[path])
      let slot = try #require(optimizer.slot(of: tensor))
      #expect(slot.name == wanted.slot && slot.parameter == wanted.parameter, "\(path)")
      #expect(paths[slot.parameter]?.shape == slot.tensor.shape)
    }
    #expect(optimizer.slots.count == expected.count)
    #expect(try optimizer.state.step() == 2)
    #expect(ParameterNames.resolve(in: root).first?.names.isComplete == true)
  }

  @Test func hyperParametersAreThoseOfTheDescription() throws {
    let root = try readKeras("small.keras").checkpoint.root
    let optimizer = try #require(root.entry(named: "optimizer").flatMap { KerasOptimizer($0) })
    let group = try #require(optimizer.state.groups.first)
    guard case .double(let eps)? = group["eps"], case .bool(true)? = group["amsgrad"],
      case .sequence(.tuple, let betas)? = group["betas"], case .double(let first)? = betas.first
    else { return #expect(Bool(false)) }
    #expect(eps == 1e-6 && first == 0.8)
    #expect(optimizer.state.algorithm.name == "Adam")
  }

  @Test func orderIsThatOfTheListsOfNames() throws {
    guard case .dict(let parts) = try readKeras("keras1_weights.h5").checkpoint.root else { return }
    #expect(parts.entries.map(\.key.text) == ["block12_dense", "block3_dense", "block1_dense"])
    guard case .dict(let layer)? = parts["block3_dense"] else { return #expect(Bool(false)) }
    #expect(layer.entries.map(\.key.text) == ["block3_dense_W", "block3_dense_b"])
    guard case .dict(let model)? = try readKeras("keras2.h5").checkpoint.root.entry(named: "model_weights") else {
      return
    }
    #expect(model.entries.map(\.key.text) == ["conv1d_462", "flatten_9", "dense_99", "dense_100"])
  }

  @Test func withoutListsNumbersCountAsNumbers() throws {
    guard
      case .dict(let variables)? = try readKeras("small.weights.h5").checkpoint.root.entry(named: "optimizer")?.entry(
        named: "vars")
    else { return #expect(Bool(false)) }
    #expect(variables.entries.map(\.key.text) == (0..<38).map(String.init))
    let names = ["dense_10", "dense_2", "dense", "conv2d", "dense_1"]
    #expect(KerasOrder([]).sorted(names).map { names[$0] } == ["conv2d", "dense", "dense_1", "dense_2", "dense_10"])
  }

  @Test func whatIsNoTensorIsKept() throws {
    let archive = try readKeras("small.keras")
    #expect(archive.version == "3.15.1" && archive.checkpoint.warnings.count == 1)
    #expect(archive.checkpoint.warnings[0].contains("assets/layers/text/vocabulary.txt"))
    let texts = attributes(archive.checkpoint.root)
    #expect(texts["config.json"]?.contains("\"BatchNormalization\"") == true)
    #expect(texts["metadata.json"]?.contains("3.15.1") == true && texts["keras_file"] == "keras")
    let legacy = try readKeras("keras2.h5")
    #expect(legacy.version == "2.10.0")
    #expect(attributes(legacy.checkpoint.root)["model_config"]?.contains("conv1d_462") == true)
    #expect(attributes(legacy.checkpoint.root)["training_config"]?.contains("\"mse\"") == true)
    let weights = try readKeras("small.weights.h5").checkpoint.root
    guard case .dict(let root) = weights,
      case .dict(let groups)? = root.attributes.first(where: { $0.name == "keras_groups" })?.value,
      case .dict(let layer)? = groups["/layers/conv2d/vars"], case .string(let name)? = layer["name"]
    else { return #expect(Bool(false)) }
    // Its path says conv2d; it is called otherwise.
    #expect(name == "first")
  }

  @Test func storedWeightsStayInTheArchive() throws {
    let path = kerasFixture("text.keras")
    let file = try MappedFile(path)
    let archive = try ZipArchive(file, naming: .any)
    let entry = try #require(archive.entry("model.weights.h5"))
    #expect(entry.method == .stored)
    let tensor = try #require(try readKeras("text.keras").checkpoint.root.tensorsByPath["layers.embedding.vars.0"])
    #expect(tensor.source is SliceSource)
  }

  @Test(arguments: files)
  func filesAreSound(_ file: String, _ record: String, _ id: String) throws {
    let path = kerasFixture(file)
    let report = try Format.input(path).verify(path)
    #expect(report.isSound, "\(report.problems)")
    #expect(report.warnings.contains(KerasVerification.noChecksums) == (id != "keras-archive"))
  }

  @Test(arguments: [
    ("BatchNormalization", "batch_normalization"), ("Conv2D", "conv2d"), ("Conv2DTranspose", "conv2d_transpose"),
    ("ReLU", "re_lu"), ("PReLU", "p_re_lu"), ("LSTM", "lstm"), ("LSTMCell", "lstm_cell"), ("GRU", "gru"),
    ("MaxPooling1D", "max_pooling1d"), ("MyNet2", "my_net2"),
  ])
  func groupsAreCalledAsKerasDoes(_ name: String, _ group: String) { #expect(KerasModel.snakeCase(name) == group) }

  private func attributes(_ value: Value) -> [String: String] {
    guard case .dict(let dict) = value else { return [:] }
    var found: [String: String] = [:]
    for field in dict.attributes { if case .string(let text) = field.value { found[field.name] = text } }
    return found
  }
}
