import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct GGUFWriteTests {
  private let folder = TemporaryFolder()

  private func write(_ root: Value, _ name: String = "out.gguf", weightsAlone: Bool = false) throws -> [String] {
    var options = Format.WriteOptions()
    options.weightsAlone = weightsAlone
    options.replaces = true
    return try GGUFFile.write(root, to: folder.file(name), options).warnings
  }

  private func written(_ name: String = "out.gguf") throws -> Checkpoint { try GGUFFile.read(folder.file(name)) }

  private func types(of metadata: Dict) -> [String: String] {
    guard case .dict(let types)? = metadata.attributes.first?.value else { return [:] }
    return types.entries.reduce(into: [:]) { found, entry in
      if case .string(let name) = entry.value { found[entry.key.text] = name }
    }
  }

  // MARK: - Models

  static let models = ["types", "aligned", "blocks", "decoded", "vocabulary"]

  @Test(arguments: models) func thePackagesFilesComeBackByteForByte(name: String) throws {
    let source = try GGUFFile.read(ggufFixture(name)).root
    let warnings = try write(source)
    #expect(
      warnings.allSatisfy { $0.contains("llama.cpp refuses names of 64 bytes") }
        && warnings.isEmpty == (name != "aligned"))
    #expect(try readBytes(folder.file("out.gguf")) == readBytes(ggufFixture(name)))
    // So they do by way of HDF5.
    _ = try NativeFormat.write(source, to: folder.file("a.h5"))
    _ = try write(try NativeFormat.read(folder.file("a.h5")).root, "again.gguf")
    #expect(try readBytes(folder.file("again.gguf")) == readBytes(ggufFixture(name)))
  }

  @Test func aSetBecomesOneFile() throws {
    _ = try write(try GGUFFile.read(ggufFixture("set-00002-of-00003")).root)
    let (tensors, metadata) = try #require(halves(try written()))
    #expect(tensors.count == 5 && metadata.count == 3)
  }

  /// A .pt keeps no attributes of a dict and no records of ours.
  @Test(arguments: ["aligned", "blocks"]) func modelsComeBackFromPyTorch(name: String) throws {
    let source = try GGUFFile.read(ggufFixture(name)).root
    _ = try TorchZip.write(source, to: folder.file("a.pt"))
    _ = try write(try TorchZip.read(folder.file("a.pt")).root)
    #expect(try readBytes(folder.file("out.gguf")) == readBytes(ggufFixture(name)))
  }

  /// The architecture's key is the loader's, whatever lies at its path.
  @Test(arguments: [
    dict(("general.architecture", .int(5))), dict(("general", dict(("architecture", .string("x"))))),
  ])
  func noKeyComesTwice(root: Value) throws {
    _ = try write(root)
    #expect(try ContentDigest.compute(written().root) == ContentDigest.compute(root))
  }

  /// What no reader of a model gives would come back as something else.
  @Test(arguments: [Value.sequence(.tuple, [.string("a")]), .bytes(Array("text".utf8))])
  func aTreeThatOnlyLooksLikeAModelIsWhole(value: Value) throws {
    let root = dict(
      ("tensors", dict(("w", try tensor([1], [1])))),
      ("metadata", dict(("general.architecture", .string("x")), ("k", value))))
    _ = try write(root)
    #expect(try ContentDigest.compute(written().root) == ContentDigest.compute(root))
  }

  @Test func tiesOfAModelAreKept() throws {
    let weight = try tensor([1, 2], [2])
    let root = dict(
      ("tensors", dict(("v", weight), ("w", weight))), ("metadata", dict(("general.architecture", .string("x")))))
    _ = try write(root)
    #expect(try ContentDigest.compute(written().root) == ContentDigest.compute(root))
  }

  /// FLT-11. The tree has the bytes of one name alone.
  @Test(arguments: [1, 33]) func aFlippedByteOfATiedTensorIsFound(fromTheEnd: Int) throws {
    let weight = try tensor([1, 2, 3, 4, 5, 6, 7, 8], [8])
    _ = try write(dict(("v", weight), ("w", weight)))
    #expect(try Format.gguf.verify(folder.file("out.gguf")).isSound)
    var bytes = try readBytes(folder.file("out.gguf"))
    bytes[bytes.count - fromTheEnd] ^= 1
    writeBytes(bytes, to: folder.file("out.gguf"))
    #expect(try !Format.gguf.verify(folder.file("out.gguf")).isSound)
  }

  @Test func numbersWithoutATypeGetTheUsualOne() throws {
    let values: [(String, Value)] = [
      ("general.architecture", .string("x")), ("a", .int(5)), ("b", .int(-5)), ("c", .int(1 << 40)),
      ("d", .double(0.5)),
      ("e", .double(0.1)), ("f", .sequence(.list, [.int(1), .int(-1)])),
      ("g", .sequence(.list, [.double(0.1), .double(1)])),
      ("h", .sequence(.list, [.bool(true)])), ("i", .bigInt(BigInt(twosComplement: [0, 0, 0, 0, 0, 0, 0, 128, 0]))),
    ]
    let metadata = Dict(values.map { Dict.Entry(.string($0.0), $0.1) })
    let root = Dict([
      Dict.Entry(.string("tensors"), .dict(Dict())), Dict.Entry(.string("metadata"), .dict(metadata)),
    ])
    #expect(try write(.dict(root)).isEmpty)
    let found = try #require(halves(try written())?.metadata)
    #expect(
      types(of: found) == [
        "a": "u32", "b": "i32", "c": "i64", "d": "f32", "e": "f64", "i": "u64",
      ])
    guard case .tensor(let f)? = found["f"], case .tensor(let g)? = found["g"], case .tensor(let h)? = found["h"],
      case .bigInt(let i)? = found["i"], case .double(0.1)? = found["e"]
    else { return #expect(Bool(false)) }
    #expect(f.dtype == .int32 && g.dtype == .float64 && h.dtype == .bool && i.description == "9223372036854775808")
  }

  // MARK: - Checkpoints

  @Test(arguments: ["transformer_adamw", "dtypes", "gan", "state_dict", "sparse", "quantised", "cnn_adam_amsgrad"])
  func aWholeCheckpointComesBack(name: String) throws {
    let source = try readFixture(name).root
    _ = try write(source)
    let back = try written()
    #expect(back.warnings.isEmpty)
    #expect(try CheckedSource.contentDigest(of: back.root) == CheckedSource.contentDigest(of: source))
    #expect(try Format.gguf.verify(folder.file("out.gguf")).isSound)
  }

  @Test func aCheckpointIsHeldAgainstItsDigest() throws {
    let source = try readFixture("state_dict").root
    _ = try write(source)
    let digest = try CheckedSource.contentDigest(of: source).description
    #expect(try written().recordedDigest == digest)
    #expect(try Format.gguf.verify(folder.file("out.gguf")).checked.last == "content digest \(digest)")
    var bytes = try readBytes(folder.file("out.gguf"))
    let range = try #require(
      try GGUFSet(folder.file("out.gguf")).parts[0].header.entries.last { !$0.range.isEmpty }?.range)
    bytes[range.lowerBound] ^= 1
    writeBytes(bytes, to: folder.file("flipped.gguf"))
    let problems = try Format.gguf.verify(folder.file("flipped.gguf")).problems
    #expect(problems.count == 1 && problems.first?.what.contains("the content digest is") == true, "\(problems)")
  }

  @Test func whatOtherProgramsSeeOfACheckpoint() throws {
    let warnings = try write(try readFixture("transformer_adamw").root)
    // The state of the random generator, uint8.
    #expect(warnings.count == 1 && warnings[0].hasSuffix(": rng"), "\(warnings)")
    let model = try GGUFSet(folder.file("out.gguf")).model(dequantizes: false)
    #expect(model.metadata.entries.first?.key == .string("general.architecture"))
    #expect(model.metadata.entries.last?.key == .string("ckpt.training"))
    guard case .int(50)? = model.metadata["step"], case .string("unknown")? = model.metadata["general.architecture"]
    else { return #expect(Bool(false)) }
    #expect(model.metadata["optimizer.param_groups.0.lr"] == nil)
    #expect(model.tensors["optimizer.exp_avg.transformer.ln_f.weight"] != nil)
    #expect(model.tensors["transformer.ln_f.weight"] != nil)
    // Tied, and GGUF cannot say so.
    #expect(model.tensors["transformer.wte.weight"] != nil && model.tensors["lm_head.weight"] != nil)
  }

  @Test func typesThatGGUFLacksAreTold() throws {
    let warnings = try write(try readFixture("dtypes").root)
    #expect(warnings.count == 1 && warnings[0].contains("tensors.bool"), "\(warnings)")
  }

  @Test func fiveDimensionsBecomeFour() throws {
    let tensor = try Tensor(dtype: .int8, shape: [2, 3, 1, 2, 1], source: BufferSource([UInt8](0..<12)))
    let root = Value.dict(Dict([Dict.Entry(.string("t"), .tensor(tensor))]))
    #expect(try write(root).first?.contains("dimensions") == true)
    guard case .tensor(let stored)? = try GGUFSet(folder.file("out.gguf")).model(dequantizes: false).tensors["t"],
      case .dict(let back) = try written().root, case .tensor(let again)? = back["t"]
    else { return #expect(Bool(false)) }
    #expect(stored.shape == [6, 1, 2, 1] && again.shape == [2, 3, 1, 2, 1])
  }

  @Test func weightsAloneHaveAllNamesAndNoText() throws {
    let root = try readFixture("transformer_adamw").root
    let model = try #require(root[.key(.string("model"))])
    _ = try write(model, weightsAlone: true)
    let (tensors, metadata) = try #require(halves(try written()))
    #expect(tensors["lm_head.weight"] != nil && tensors["transformer.wte.weight"] != nil)
    #expect(metadata.entries.map(\.key) == [.string("general.architecture")])
  }

  @Test func blocksAloneAreWritten() throws {
    let tensors = try #require(halves(try GGUFFile.read(ggufFixture("blocks")))?.tensors)
    #expect(try write(.dict(tensors), weightsAlone: true).isEmpty)
    let back = try #require(halves(try written())?.tensors)
    #expect(back.count == tensors.count)
    #expect(back.entries.allSatisfy { BlockTensor($0.value) != nil || $0.key == .string("plain") })
  }

  @Test func aFileThatAnotherProgramChangedStillReads() throws {
    _ = try write(try readFixture("state_dict").root)
    var bytes = try readBytes(folder.file("out.gguf"))
    let places = bytes.indices.filter { bytes[$0...].starts(with: Array("weight".utf8)) }
    // The last one is a tensor's name: those in the text come before it.
    bytes[try #require(places.last)] = UInt8(ascii: "W")
    writeBytes(bytes, to: folder.file("changed.gguf"))
    let checkpoint = try GGUFFile.read(folder.file("changed.gguf"))
    #expect(halves(checkpoint)?.tensors.count ?? 0 > 0)
    #expect(checkpoint.warnings.contains { $0.contains("ckpt.training") })
    #expect(try !Format.gguf.verify(folder.file("changed.gguf")).isSound)
  }
}
