import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Folders that real torch wrote on 1, 2 and 4 processes.
let dcpFixtures = namesIn("\(fixtureFolder)/dcp").filter { $0 != "expected" }

func dcpFixture(_ name: String) -> String { "\(fixtureFolder)/dcp/\(name)" }

@Suite struct DCPReadTests {
  /// Rows, columns, grids, replicas, uneven and empty shards, nesting, numbers as keys, flat optimizers: the whole
  /// state as it was before it was shared out.
  @Test(arguments: dcpFixtures)
  func findsWhatTorchGathers(_ name: String) throws {
    try compare(dcpFixture(name), "\(fixtureFolder)/dcp/expected/\(name).txt")
  }

  /// Metadata of fewer fields.
  @Test func findsWhatTorch2_0Saved() throws {
    try compare("\(fixtureFolder)/torch-2.0/dcp", "\(fixtureFolder)/torch-2.0/expected/dcp.txt")
  }

  private func compare(_ path: String, _ expectation: String) throws {
    let lines = try TorchDump.lines(readFolder(path))
    let wanted = String(decoding: try fileBytes(expectation), as: UTF8.self)
      .split(separator: "\n").map(String.init)
    for (found, wanted) in zip(lines, wanted) { #expect(found == wanted) }
    #expect(lines.count == wanted.count)
  }

  @Test(arguments: dcpFixtures)
  func isRecognisedAndSound(_ name: String) throws {
    let format = try Format.input(dcpFixture(name))
    #expect(format.id == (name.hasPrefix("safetensors") && name != "safetensors_distcp" ? "dcp-safetensors" : "dcp"))
    let report = try format.verify(dcpFixture(name))
    #expect(report.problems.isEmpty)
    #expect(report.checked.count >= 2)
  }

  @Test func allKindsAreThere() { #expect(dcpFixtures.count >= 13) }

  /// By parameter names or by numbers, nested or flat.
  @Test(arguments: [("fsdp2", "optim"), ("flat_optimizer", "optim"), ("ids", "optimizer")])
  func optimizersAreOptimizers(_ name: String, _ key: String) throws {
    guard case .dict(let root) = try readFolder(dcpFixture(name)), let value = root[key],
      let optimizer = OptimizerState(value)
    else { return #expect(Bool(false)) }
    #expect(optimizer.groups.count == 2)
    #expect(optimizer.keys.count == 4)
    #expect(optimizer.orphans.isEmpty)
    guard case .dict(let dict) = value, case .dict(let state)? = dict["state"],
      case .dict(let slots)? = state.entries.first?.value
    else { return #expect(Bool(false)) }
    #expect(slots.entries.map(\.key.text).sorted() == ["exp_avg", "exp_avg_sq", "step"])
  }

  /// Names that contradict each other are no flat optimizer, and nothing of them is lost.
  @Test func contradictingNamesStayAsTheyAre() throws {
    let flat = dict(
      ("state.p.s", try tensor([1], [1])), ("state.p.s.t", try tensor([2], [1])), ("param_groups.p.lr", .double(0.1)))
    #expect(try Diff(StoredOptimizers.restored(flat), flat).isEqual)
    let sound = dict(
      ("state.p.s.t", try tensor([2], [1])), ("state.p.step", .int(3)), ("param_groups.p.lr", .double(0.1)))
    guard case .dict(let nested) = StoredOptimizers.restored(sound), let lens = OptimizerState(.dict(nested)) else {
      return #expect(Bool(false))
    }
    #expect(lens.keys == [.string("p")])
    guard case .dict(let inner)? = lens.slot("s", of: .string("p")) else { return #expect(Bool(false)) }
    #expect(inner.entries.map(\.key.text) == ["t"])
  }

  /// Many ranks, each with rows of its own: the merge finds them without comparing all with all.
  @Test func manyRanksMerge() throws {
    let ranks = 400
    var metadata = DCPMetadata()
    let all = (0..<ranks).map { rank in
      var mine = DCPMetadata()
      let chunk = DCPMetadata.Chunk(
        offsets: [rank, 0], sizes: [1, 2], part: DCPMetadata.Part(file: "f", offset: rank * 8, length: 8))
      let item = DCPMetadata.TensorItem(dtype: .float32, shape: [ranks, 2], chunks: [chunk])
      mine.entries = [DCPMetadata.Entry(name: "w", item: .tensor(item))]
      return (file: "__\(rank).metadata", metadata: mine)
    }
    metadata = try DCPMetadata(merging: all + [all[7]])
    guard case .tensor(let item)? = metadata.entries.first?.item else { return #expect(Bool(false)) }
    #expect(item.chunks.count == ranks)
    #expect(metadata.entries[0].replicas.count == 1)
    #expect(throws: Never.self) { try ChunkCover.check(item) }
  }

  /// Before the first step DCP keeps no `state`; torch's optimizers want one.
  @Test func anEmptyStateComesBack() throws {
    guard case .dict(let root) = try readFolder(dcpFixture("no_state")), case .dict(let dict)? = root["optimizer"]
    else { return #expect(Bool(false)) }
    #expect(dict.entries.map(\.key.text) == ["state", "param_groups"])
  }

  /// PyTorch drops empty dicts in a list; what follows keeps its place.
  @Test func listsHaveHoles() throws {
    var builder = try DCPBuilder()
    builder.paths[0].1 = "Vlist\nI5\nVw\n"
    let folder = try builder.folder()
    guard case .dict(let root) = try readFolder(folder.path), case .sequence(.list, let items)? = root["list"]
    else { return #expect(Bool(false)) }
    #expect(items.count == 6)
    guard case .none = items[4], case .dict(let last) = items[5] else { return #expect(Bool(false)) }
    #expect(last.count == 1)
  }

  /// Pieces of any size, whatever the boxes: the same bytes as all at once.
  @Test func piecesJoinToTheWhole() throws {
    var tensors = 0
    guard case .dict(let root) = try readFolder(dcpFixture("meshes")) else { return #expect(Bool(false)) }
    for entry in root.entries {
      guard case .tensor(let tensor) = entry.value else { continue }
      tensors += 1
      var whole: [UInt8] = []
      try tensor.source.withBytes { whole = Array($0) }
      for limit in [1, 8, 20, 48, 1000] {
        var pieces: [UInt8] = []
        try tensor.source.forEachPiece(limit: limit) { pieces += Array($0) }
        #expect(pieces == whole, "\(entry.key.text) by \(limit)")
      }
    }
    #expect(tensors == 20)
  }

  /// A random tensor cut along random lines, in any order.
  @Test func randomBoxesJoin() throws {
    var random = SplitMix(state: 5)
    for _ in 0..<200 {
      let shape = (0..<Int.random(in: 1...4, using: &random)).map { _ in Int.random(in: 1...6, using: &random) }
      let count = shape.reduce(1, *)
      let values = (0..<count).map { UInt32($0) }
      let cuts = shape.map { size in
        ([0, size] + (0..<2).map { _ in Int.random(in: 0...size, using: &random) }).sorted()
      }
      var boxes: [(offsets: [Int], sizes: [Int])] = [([], [])]
      for cut in cuts {
        boxes = boxes.flatMap { box in
          zip(cut, cut.dropFirst()).filter { $0.0 < $0.1 }.map { (box.offsets + [$0.0], box.sizes + [$0.1 - $0.0]) }
        }
      }
      boxes.shuffle(using: &random)
      let parts = boxes.map { box -> (offsets: [Int], sizes: [Int], source: any ByteSource) in
        let inside = values.filter { value in
          var rest = Int(value)
          return shape.indices.reversed().allSatisfy { d in
            let place = rest % shape[d]
            rest /= shape[d]
            return (box.offsets[d]..<(box.offsets[d] + box.sizes[d])).contains(place)
          }
        }
        return (box.offsets, box.sizes, BufferSource(elements: inside))
      }
      let source = try BoxedSource(dtype: .int32, shape: shape, parts: parts)
      var joined: [UInt8] = []
      try source.forEachPiece(limit: Int.random(in: 1...64, using: &random)) { joined += Array($0) }
      var wanted: [UInt8] = []
      try BufferSource(elements: values).withBytes { wanted = Array($0) }
      #expect(joined == wanted, "\(shape) \(boxes)")
    }
  }

  /// Each rank for itself wrote `rank` and `seed`; nobody can say whose are meant.
  @Test func ranksThatDisagreeAreTold() throws {
    let path = dcpFixture("per_rank")
    let warnings = try Format.input(path).read(path, Format.ReadOptions()).checkpoint.warnings
    #expect(warnings.count == 2)
    for name in ["rank", "seed"] {
      #expect(warnings.contains("\(name): the ranks have different values; that of the first is taken"))
    }
  }

  /// What a folder is called, and what else lies in it, counts for nothing.
  @Test func otherFilesDoNotCount() throws {
    let folder = try DCPBuilder().folder()
    writeBytes([1, 2, 3], to: folder.file("notes.txt"))
    writeBytes([4], to: folder.file("__9_0.distcp"))
    #expect(try TorchDump.lines(readFolder(folder.path + "/")).count == 3)
    let warnings = try Format.dcp.read(folder.path, Format.ReadOptions()).checkpoint.warnings
    #expect(warnings == ["not taken from the folder: notes.txt"])
  }

  /// Megatron's distributed checkpoints have a file of plain values beside them.
  @Test func megatronsCommonStateIsTaken() throws {
    let folder = TemporaryFolder()
    let iteration = folder.file("iter_0000020")
    mkdir(iteration, 0o700)
    let builder = try DCPBuilder()
    for (name, bytes) in builder.files { writeBytes(bytes, to: "\(iteration)/\(name)") }
    writeBytes(builder.metadata, to: "\(iteration)/.metadata")
    try TorchZip.write(dict(("iteration", .int(20))), to: "\(iteration)/common.pt")
    writeBytes(Array("20\n".utf8), to: folder.file("latest_checkpointed_iteration.txt"))
    #expect(try Format.input(folder.path).id == "megatron")
    for path in [folder.path, iteration] {
      guard case .dict(let root) = try readFolder(path), case .dict(let common)? = root["common"] else {
        return #expect(Bool(false))
      }
      guard case .int(20)? = common["iteration"] else { return #expect(Bool(false)) }
      #expect(root.entries.map(\.key.text) == ["w", "step", "common"])
    }
  }

  @Test func severalFoldersAreOneTree() throws {
    let folder = TemporaryFolder()
    guard case .dict(let tree) = try readFolder(dcpFixture("fsdp2")), let model = tree["model"],
      let optim = tree["optim"]
    else { return #expect(Bool(false)) }
    for (name, value) in [("m", model), ("o", optim)] {
      _ = try Format.dcp.write?(value, folder.file(name), Format.WriteOptions())
    }
    let joined = try Transform.join(["m", "o"].map { ($0, try readFolder(folder.file($0))) })
    #expect(try Diff(joined, dict(("model", model), ("optimizer", optim))).isEqual)
  }
}
