import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

func frameworkFixture(_ name: String) -> String { "\(fixtureFolder)/frameworks/\(name)" }

@Suite struct FolderReadTests {
  /// Weights by name, and the optimizer's slots by parameter name where that is known, as the library itself knew them.
  @Test(arguments: [
    ("trainer", "trainer", "hf-trainer", 2), ("accelerate", "accelerate", "accelerate", 4),
    ("lightning.ckpt", "lightning", "torch-zip", 4),
  ])
  func findsWhatTheLibraryKnew(_ name: String, _ expected: String, _ id: String, _ known: Int) throws {
    let path = frameworkFixture(name)
    let format = try Format.input(path)
    #expect(format.id == id)
    let root = try format.read(path, Format.ReadOptions()).checkpoint.root
    let wanted = String(decoding: try fileBytes(frameworkFixture("expected/\(expected).txt")), as: UTF8.self)
      .split(separator: "\n").map { String($0).withoutTie }
    let model = try #require(root.entry(name == "lightning.ckpt" ? "state_dict" : "model"))
    var found = try TorchDump.lines(dict(("model", model)))
    let (place, names) = try #require(ParameterNames.resolve(in: root).first)
    let optimizer = try #require(root[place].flatMap { OptimizerState($0) })
    var count = 0
    for (position, key) in optimizer.keys.enumerated() where names.known[position] {
      count += 1
      guard case .dict(let slots)? = optimizer.state.entries.first(where: { $0.key == key })?.value else {
        return #expect(Bool(false))
      }
      found += try TorchDump.lines(dict(("state", dict((names.names[position], .dict(slots))))))
    }
    #expect(count == known)
    let lines = Set(wanted)
    // Containers are counted elsewhere.
    for line in found.map(\.withoutTie) where line.contains(" tensor ") { #expect(lines.contains(line), "\(line)") }
    #expect(
      found.filter { $0.contains(" tensor ") && $0.hasPrefix("/model") }.count
        == wanted.filter { $0.contains(" tensor ") && $0.hasPrefix("/model") }.count)
    #expect(try format.verify(path).isSound)
  }

  @Test func aTrainersFolderIsWhole() throws {
    let path = frameworkFixture("trainer")
    let opened = try Format.input(path).read(path, Format.ReadOptions())
    guard case .dict(let root) = opened.checkpoint.root else { return #expect(Bool(false)) }
    let keys = root.entries.map(\.key.text)
    #expect(keys == ["model", "optimizer", "scheduler", "rng", "training", "training_args", "config"])
    #expect(opened.bytes == namesIn(path).reduce(0) { $0 + ((try? FileStart("\(path)/\($1)").size) ?? 0) })
    guard case .dict(let training)? = root["training"], case .int(3)? = training["global_step"] else {
      return #expect(Bool(false))
    }
    guard case .record(let arguments)? = root["training_args"], case .string(let name)? = arguments["class"] else {
      return #expect(Bool(false))
    }
    #expect(name.hasSuffix("TrainingArguments"))
  }

  @Test(arguments: ["sharded", "sharded_bin"])
  func shardsAreOneStateDict(_ name: String) throws {
    let path = frameworkFixture(name)
    let format = try Format.input(path)
    #expect(format.id == "safetensors-sharded")
    let opened = try format.read(path, Format.ReadOptions())
    let lines = try Set(TorchDump.lines(dict(("model", opened.checkpoint.root))).map(\.withoutTie))
    let wanted = String(decoding: try fileBytes(frameworkFixture("expected/trainer.txt")), as: UTF8.self)
      .split(separator: "\n").map { String($0).withoutTie }.filter { $0.hasPrefix("/model/") }
    #expect(wanted.count == 5)
    for line in wanted { #expect(lines.contains(line)) }
    // The index itself may be named.
    let index = try #require(namesIn(path).first { $0.hasSuffix(".index.json") })
    let byIndex = try Format.input("\(path)/\(index)").read("\(path)/\(index)", Format.ReadOptions())
    #expect(try Diff(byIndex.checkpoint.root, opened.checkpoint.root).isEqual)
    #expect(try format.verify(path).isSound)
  }

  /// What each rank saved makes a list, and what is not taken is told.
  @Test func ranksAndOtherFilesAreTold() throws {
    let folder = TemporaryFolder()
    for name in ["model.safetensors", "optimizer.pt", "trainer_state.json"] {
      writeBytes(try readBytes(frameworkFixture("trainer/\(name)")), to: folder.file(name))
    }
    for rank in [10, 2, 0] {
      try TorchZip.write(dict(("rank", .int(Int64(rank)))), to: folder.file("rng_state_\(rank).pth"))
    }
    writeBytes([1], to: folder.file("tokenizer.json"))
    let opened = try Format.input(folder.path).read(folder.path, Format.ReadOptions())
    guard case .dict(let root) = opened.checkpoint.root, case .sequence(.list, let ranks)? = root["rng"] else {
      return #expect(Bool(false))
    }
    let numbers = ranks.map { rank -> Int64? in
      guard case .dict(let dict) = rank, case .int(let number)? = dict["rank"] else { return nil }
      return number
    }
    #expect(numbers == [0, 2, 10])
    #expect(opened.checkpoint.warnings.contains("not taken from the folder: tokenizer.json"))
    #expect(opened.checkpoint.warnings.contains { $0.hasPrefix("rng_state_1.pth is missing") })
  }

  /// One file that may be anybody's makes no framework's folder.
  @Test(arguments: ["optimizer.bin", "optimizer.pt"])
  func aLoneFileIsNoFramework(_ name: String) throws {
    let folder = TemporaryFolder()
    writeBytes(try readBytes(frameworkFixture("accelerate/optimizer.bin")), to: folder.file(name))
    let error = #expect(throws: CheckpointError.self) { try Format.input(folder.path) }
    #expect(error?.message.contains("is a folder") == true)
  }

  /// FSDP's sharded states are distributed checkpoints below the folder, each under one key of its own.
  @Test(arguments: ["trainer_state.json", "random_states_0.pkl"])
  func shardedStatesBelowAreFound(_ mark: String) throws {
    let folder = TemporaryFolder()
    guard case .dict(let saved) = try readFolder(dcpFixture("fsdp2")), let model = saved["model"],
      let optimizer = saved["optim"]
    else { return #expect(Bool(false)) }
    _ = try Format.dcp.write?(dict(("model", model)), folder.file("pytorch_model_fsdp_0"), Format.WriteOptions())
    _ = try Format.dcp.write?(dict(("optimizer", optimizer)), folder.file("optimizer_0"), Format.WriteOptions())
    if mark.hasSuffix(".json") {
      writeBytes(Array(#"{"global_step": 2}"#.utf8), to: folder.file(mark))
    } else {
      try TorchZip.write(dict(("step", .int(2))), to: folder.file(mark))
    }
    let opened = try Format.input(folder.path).read(folder.path, Format.ReadOptions())
    guard case .dict(let root) = opened.checkpoint.root, let foundModel = root["model"], let found = root["optimizer"]
    else { return #expect(Bool(false)) }
    #expect(try Diff(foundModel, model).isEqual)
    #expect(try Diff(found, optimizer).isEqual)
    #expect(opened.checkpoint.warnings.isEmpty)
  }

  /// The Trainer leaves model and optimizer to DeepSpeed, in a folder that `latest` names.
  @Test func deepSpeedsStatesBelowAreFound() throws {
    let folder = TemporaryFolder()
    let source = "\(fixtureFolder)/deepspeed/zero2"
    for name in filesIn(source) {
      let inner = filesIn("\(source)/\(name)")
      if inner.isEmpty {
        writeBytes(try readBytes("\(source)/\(name)"), to: folder.file(name))
      } else {
        mkdir(folder.file(name), 0o700)
      }
      for file in inner { writeBytes(try readBytes("\(source)/\(name)/\(file)"), to: folder.file("\(name)/\(file)")) }
    }
    writeBytes(Array(#"{"global_step": 3}"#.utf8), to: folder.file("trainer_state.json"))
    let format = try Format.input(folder.path)
    #expect(format.id == "hf-trainer")
    let opened = try format.read(folder.path, Format.ReadOptions())
    guard case .dict(let root) = opened.checkpoint.root,
      case .dict(let alone) = try readFolder(source)
    else { return #expect(Bool(false)) }
    #expect(Set(root.entries.map(\.key.text)).isSuperset(of: ["model", "optimizer", "training", "deepspeed"]))
    for key in ["model", "optimizer"] {
      let (found, wanted) = (try #require(root[key]), try #require(alone[key]))
      #expect(try Diff(found, wanted).isEqual)
    }
    guard case .dict(let training)? = root["training"] else { return #expect(Bool(false)) }
    #expect(training.entries.map(\.key.text) == ["global_step"])
    #expect(!opened.checkpoint.warnings.contains { $0.hasPrefix("not taken") })
  }

  /// Python's JSON has numbers that JSON has not.
  @Test func aDivergedLossIsRead() throws {
    let text = Array(
      #"{"a": [NaN, Infinity, -Infinity, 1e3, 12345678901234567890123, -5], "b": {"c": null, "d": true}}"#.utf8)
    var value = Value.none
    try BufferSource(text).withBytes { (bytes) throws(CheckpointError) in value = try JSONTree.value(bytes) }
    guard case .dict(let dict) = value, case .sequence(.list, let items)? = dict["a"] else {
      return #expect(Bool(false))
    }
    guard case .double(let nan) = items[0], case .double(.infinity) = items[1], case .double(-.infinity) = items[2],
      case .double(1000) = items[3], case .bigInt = items[4], case .int(-5) = items[5]
    else { return #expect(Bool(false)) }
    #expect(nan.isNaN)
  }
}

@Suite struct MegatronFolderTests {
  private func run(_ latest: String, ranks: [String]) throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    let iteration = folder.file("iter_0000020")
    mkdir(iteration, 0o700)
    for rank in ranks {
      mkdir("\(iteration)/\(rank)", 0o700)
      try TorchZip.write(dict(("iteration", .int(20))), to: "\(iteration)/\(rank)/model_optim_rng.pt")
    }
    writeBytes(Array(latest.utf8), to: folder.file("latest_checkpointed_iteration.txt"))
    return folder
  }

  @Test func theOnlyRankIsTheCheckpoint() throws {
    let folder = try run("20\n", ranks: ["mp_rank_00"])
    for path in [folder.path, folder.file("iter_0000020")] {
      #expect(try Format.input(path).id == "megatron")
      guard case .dict(let root) = try readFolder(path), case .int(20)? = root["iteration"] else {
        return #expect(Bool(false))
      }
    }
    #expect(try Format.megatronFolder.verify(folder.path).isSound)
  }

  @Test func whatIsSplitOrMissingIsTold() throws {
    let cases = [
      ("20", ["mp_rank_00", "mp_rank_01"], "split over 2 ranks"), ("40", ["mp_rank_00"], "names 'iter_0000040'"),
      ("../..", ["mp_rank_00"], "is no iteration"), ("20", [], "without mp_rank_00"),
    ]
    for (latest, ranks, words) in cases {
      let folder = try run(latest, ranks: ranks)
      let error = #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
      #expect(error?.message.contains(words) == true, "\(String(describing: error))")
    }
  }
}

@Suite struct FolderHostileTests {
  private func shards(_ change: (TemporaryFolder) throws -> Void) throws -> CheckpointError? {
    let folder = TemporaryFolder()
    for name in namesIn(frameworkFixture("sharded")) {
      writeBytes(try readBytes(frameworkFixture("sharded/\(name)")), to: folder.file(name))
    }
    try change(folder)
    let error = #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
    #expect(try !Format.weightFolder.verify(folder.path).isSound)
    return error
  }

  private func index(_ folder: TemporaryFolder, _ text: String) {
    writeBytes(Array(text.utf8), to: folder.file("model.safetensors.index.json"))
  }

  @Test func aMissingShardIsNamed() throws {
    let error = try shards { unlink($0.file("model-00002-of-00003.safetensors")) }
    #expect(error?.message == "1 of 3 files missing: model-00002-of-00003.safetensors, with 3 tensors")
  }

  @Test(arguments: ["../secret.safetensors", "/etc/passwd", "a/../../b", ".", ""])
  func namesThatLeadOutOfTheFolderAreRefused(_ name: String) throws {
    let error = try shards { index($0, #"{"weight_map": {"w": "\#(name)"}}"#) }
    #expect(error?.message.contains("no name inside the folder") == true)
  }

  @Test func linksThatLeadOutOfTheFolderAreRefused() throws {
    let outside = TemporaryFolder()
    let error = try shards { folder in
      rename(folder.file("model-00001-of-00003.safetensors"), outside.file("secret"))
      symlink(outside.file("secret"), folder.file("model-00001-of-00003.safetensors"))
    }
    #expect(error?.message.contains("a link that leads out of the folder") == true)
    let trainer = TemporaryFolder()
    writeBytes(try readBytes(frameworkFixture("trainer/optimizer.pt")), to: outside.file("optimizer"))
    symlink(outside.file("optimizer"), trainer.file("optimizer.pt"))
    writeBytes(Array("{}".utf8), to: trainer.file("trainer_state.json"))
    let other = #expect(throws: CheckpointError.self) { try readFolder(trainer.path) }
    #expect(other?.message.contains("a link that leads out of the folder") == true)
  }

  @Test func anIndexThatLiesIsRefused() throws {
    let wrong = try shards { index($0, #"{"weight_map": {"nowhere": "model-00001-of-00003.safetensors"}}"#) }
    #expect(wrong?.message.contains("'nowhere' is not in the file") == true)
    let twice = try shards { index($0, #"{"weight_map": {"a": "b", "a": "c"}}"#) }
    #expect(twice?.message.contains("comes twice") == true)
    let empty = try shards { index($0, #"{"metadata": {}}"#) }
    #expect(empty?.message.contains("without its 'weight_map'") == true)
    let cut = try shards { index($0, #"{"weight_map": {"a": "#) }
    #expect(cut?.code == .damaged)
  }

  /// An index that names itself, or is named where a checkpoint is due.
  @Test func indexesAreNoParts() throws {
    let itself = try shards { index($0, #"{"weight_map": {"a": "model.safetensors.index.json"}}"#) }
    #expect(itself?.message.contains("is an index of other files") == true)
    let folder = TemporaryFolder()
    writeBytes(Array(#"{"weight_map": {"a": "optimizer.pt"}}"#.utf8), to: folder.file("optimizer.pt"))
    writeBytes(Array("{}".utf8), to: folder.file("trainer_state.json"))
    let error = #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
    #expect(error?.message.contains("is an index of other files") == true)
  }

  @Test func whatIsThereTwiceIsTold() throws {
    let folder = TemporaryFolder()
    for name in ["rng_state.pth", "rng_state_0.pth"] { try TorchZip.write(dict(("a", .int(1))), to: folder.file(name)) }
    writeBytes(Array("{}".utf8), to: folder.file("trainer_state.json"))
    let opened = try Format.trainerFolder.read(folder.path, Format.ReadOptions())
    #expect(opened.checkpoint.warnings == ["the folder has 'rng' more than once; the first was taken"])
    guard case .dict(let root) = opened.checkpoint.root else { return #expect(Bool(false)) }
    #expect(root.entries.map(\.key.text) == ["rng", "training"])
  }

  @Test func jsonThatIsNestedWithoutEndIsRefused() throws {
    let folder = TemporaryFolder()
    writeBytes(Array(String(repeating: "[", count: 1 << 20).utf8), to: folder.file("trainer_state.json"))
    let error = #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
    #expect(error?.message.contains("nested too deep") == true)
  }

  @Test func damageIsFoundInEveryFile() throws {
    for name in namesIn(frameworkFixture("trainer")) {
      let folder = TemporaryFolder()
      for file in namesIn(frameworkFixture("trainer")) {
        writeBytes(try readBytes(frameworkFixture("trainer/\(file)")), to: folder.file(file))
      }
      let whole = try readBytes(folder.file(name))
      writeBytes(Array(whole[..<(whole.count / 2)]), to: folder.file(name))
      let error = #expect(throws: CheckpointError.self, "\(name)") { try readFolder(folder.path) }
      #expect(error?.file?.contains(name) == true, "\(String(describing: error))")
      #expect(try !Format.trainerFolder.verify(folder.path).isSound)
    }
  }
}

extension String {
  /// A line of an expectation without which line the tensor is tied to.
  fileprivate var withoutTie: String { range(ofLast: " tie:").map { String(self[..<$0]) } ?? self }

  private func range(ofLast text: String) -> String.Index? {
    var index = endIndex
    while index > startIndex {
      index = self.index(before: index)
      if self[index...].hasPrefix(text) { return index }
    }
    return nil
  }
}

extension Value {
  fileprivate func entry(_ key: String) -> Value? { if case .dict(let dict) = self { dict[key] } else { nil } }
}
