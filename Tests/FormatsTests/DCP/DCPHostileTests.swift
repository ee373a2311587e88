import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct DCPHostileTests {
  /// Reading fails, and `verify` tells the same.
  private func refused(
    _ words: String..., code: CheckpointError.Code = .damaged, change: (inout DCPBuilder) throws -> Void
  ) throws {
    var builder = try DCPBuilder()
    try change(&builder)
    try refused(builder.folder(), words, code)
  }

  private func refused(_ folder: TemporaryFolder, _ words: [String], _ code: CheckpointError.Code = .damaged) throws {
    let error = #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
    #expect(error?.code == code)
    #expect(error?.file?.hasPrefix(folder.path) == true)
    let told = [error?.place, error?.message].compactMap { $0 }.joined(separator: ": ")
    for word in words { #expect(told.contains(word), "\(told)") }
    let problems = try Format.dcp.verify(folder.path).problems
    #expect(
      problems.contains { problem in words.allSatisfy { "\(problem.place): \(problem.what)".contains($0) } },
      "\(problems)")
  }

  @Test func theBuilderMakesSoundFolders() throws {
    let folder = try DCPBuilder().folder()
    guard case .dict(let root) = try readFolder(folder.path), case .tensor(let w)? = root["w"],
      case .int(7)? = root["step"]
    else { return #expect(Bool(false)) }
    #expect(w.shape == [4, 2])
    #expect(try w.elements(as: UInt32.self) == (0..<8).map { Float($0).bitPattern })
    #expect(try Format.dcp.verify(folder.path).isSound)
  }

  // MARK: - Chunks

  @Test func aChunkThatIsMissingIsNamed() throws {
    try refused("w", "the element [2, 0] is in none of the chunks") {
      $0.chunks.removeLast()
      $0.stored.remove(at: 1)
    }
  }

  @Test func aChunkThatIsTwiceThereIsNamed() throws {
    try refused("w", "the chunk [0:2, 0:2] is there twice") { $0.chunks.append($0.chunks[0]) }
  }

  @Test func chunksThatOverlapAreNamed() throws {
    try refused("w", "[0:2, 0:2]", "[1:3, 0:2]", "overlap") { $0.chunks[1].offsets = [1, 0] }
  }

  @Test func aChunkOutsideTheTensorIsRefused() throws {
    try refused("w", "the chunk [3:5, 0:2] is no part of a tensor of size [4, 2]") { $0.chunks[1].offsets = [3, 0] }
    try refused("w", "is no part of") { $0.chunks[1].offsets = [Int.max, 0] }
    try refused("w", "is no part of") { $0.chunks[1] = DCPBuilder.Chunk(offsets: [2], sizes: [2]) }
  }

  @Test func aChunkWithoutAPlaceIsNamed() throws {
    try refused("w", "the chunk [2:4, 0:2] is listed, but not where it is stored") { $0.stored.remove(at: 1) }
    try refused("step", "not where it is stored") { $0.stored.removeLast() }
  }

  @Test func aChunkThatIsStoredTwiceIsRefused() throws {
    try refused("w", "stored twice") { $0.stored.append($0.stored[0]) }
    try refused("step", "stored twice") { $0.stored.append($0.stored[2]) }
  }

  @Test func aPartThatHoldsSomethingElseIsRefused() throws {
    try refused("w", "the part holds float32 [2, 2], the metadata says int32 [2, 2]") { $0.dtype = "ctorch\nint32\n" }
    try refused("w", "the part holds float32 [2, 2], the metadata says float32 [4, 1]") {
      $0.size = [8, 1]
      $0.chunks = [
        DCPBuilder.Chunk(offsets: [0, 0], sizes: [4, 1]), DCPBuilder.Chunk(offsets: [4, 0], sizes: [4, 1]),
      ]
      $0.stored[1].offsets = [4, 0]
    }
    try refused("w", "holds no tensor") {
      let part = try DCPBuilder.archive(.int(3))
      $0.files[1].bytes = part
      $0.stored[1].length = "\(part.count)"
    }
  }

  // MARK: - Files

  @Test func aMissingShardIsNamed() throws {
    try refused("1 of 2 shards missing: __1_0.distcp, with parts of 1 entries") { $0.files.removeLast() }
  }

  @Test(arguments: ["../secret", "/etc/passwd", "a/../../secret", "..", ".", "", "a//b", "./x"])
  func namesThatLeadOutOfTheFolderAreRefused(_ name: String) throws {
    try refused("no name inside the folder") { $0.stored[1].file = name }
  }

  @Test func linksThatLeadOutOfTheFolderAreRefused() throws {
    let outside = TemporaryFolder()
    let builder = try DCPBuilder()
    writeBytes(builder.files[1].bytes, to: outside.file("secret"))
    let folder = try builder.folder()
    unlink(folder.file("__1_0.distcp"))
    symlink(outside.file("secret"), folder.file("__1_0.distcp"))
    try refused(folder, ["a link that leads out of the folder"])
    // Metadata is a file like any other.
    let other = try builder.folder()
    rename(other.file(".metadata"), outside.file("metadata"))
    symlink(outside.file("metadata"), other.file(".metadata"))
    try refused(other, ["a link that leads out of the folder"])
    // A link inside is harmless.
    let inside = try builder.folder()
    rename(inside.file("__1_0.distcp"), inside.file("b"))
    symlink("b", inside.file("__1_0.distcp"))
    #expect(throws: Never.self) { try readFolder(inside.path) }
  }

  @Test func pipesAndFoldersAreNoShards() throws {
    let folder = try DCPBuilder().folder()
    unlink(folder.file("__1_0.distcp"))
    mkfifo(folder.file("__1_0.distcp"), 0o600)
    try refused(folder, ["no regular file"])
    unlink(folder.file("__1_0.distcp"))
    mkdir(folder.file("__1_0.distcp"), 0o700)
    try refused(folder, ["no regular file"])
  }

  @Test func partsOutsideTheirFileAreRefused() throws {
    try refused("of a file of") { $0.stored[1].start = "1" }
    try refused("of a file of") { $0.files[1].bytes.removeLast() }
    try refused("negative or too large") { $0.stored[1].start = "-1" }
    try refused("negative or too large") { $0.stored[1].length = "-1" }
    try refused("negative or too large") { $0.stored[1].start = "\(Int.max)" }
    try refused("is no integer") { $0.stored[1].length = "99999999999999999999999" }
  }

  @Test func partsThatShareBytesAreRefused() throws {
    try refused("shares the bytes from") {
      $0.stored[2].start = "10"
      $0.stored[2].length = "100"
    }
  }

  @Test func anUnfinishedSaveIsTold() throws {
    let folder = try DCPBuilder().folder(metadata: ".metadata.tmp")
    try refused(
      folder, ["the save was not finished: 2 .distcp files are there, but .metadata is not", ".metadata.tmp"])
    unlink(folder.file(".metadata.tmp"))
    try refused(folder, ["the save was not finished"])
  }

  @Test func aCutShardIsFoundWhereverItIsCut() throws {
    let path = dcpFixture("two_files_a_rank")
    let folder = try copy("two_files_a_rank")
    for name in filesIn(path) {
      let whole = try readBytes("\(path)/\(name)")
      for length in stride(from: 0, to: whole.count, by: max(whole.count / 40, 1)) {
        writeBytes(Array(whole[..<length]), to: folder.file(name))
        #expect(throws: CheckpointError.self, "\(name) cut to \(length)") { try readFolder(folder.path) }
        #expect(try !Format.dcp.verify(folder.path).isSound, "\(name) cut to \(length)")
      }
      writeBytes(whole, to: folder.file(name))
    }
    #expect(throws: Never.self) { try readFolder(folder.path) }
  }

  @Test func aFlippedByteOfATensorIsFound() throws {
    let builder = try DCPBuilder()
    let payload = LegacyBuilder.little(Float(4).bitPattern) + LegacyBuilder.little(Float(5).bitPattern)
    let bytes = builder.files[1].bytes
    let place = try #require((0..<bytes.count).first { bytes[$0...].starts(with: payload) })
    try refused("w, chunk [2:4, 0:2]", "CRC-32") { $0.files[1].bytes[place + 5] ^= 1 }
  }

  /// Tensors in a value that is stored whole are read too.
  @Test func aFlippedByteInAValueIsFound() throws {
    let folder = try copy("ids")
    let file = folder.file("__0_0.distcp")
    var bytes = try readBytes(file)
    let value = try DCPCheckpoint(folder.path, verify: true).metadata.entries.first {
      $0.name == "values.tensors in a tuple"
    }
    guard case .value(let part?)? = value?.item else { return #expect(Bool(false)) }
    let ones = LegacyBuilder.little(Float(1).bitPattern) + LegacyBuilder.little(Float(1).bitPattern)
    let range = part.offset..<(part.offset + part.length)
    let place = try #require(range.first { bytes[$0...].starts(with: ones) })
    bytes[place] ^= 1
    writeBytes(bytes, to: file)
    #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
    let problems = try Format.dcp.verify(folder.path).problems
    #expect(problems.contains { $0.place.contains("tensors in a tuple") && $0.what.contains("CRC-32") }, "\(problems)")
  }

  @Test(arguments: ["fsdp2", "ids", "per_rank", "safetensors_joined"])
  func flippedBytesNeverCrash(_ name: String) throws {
    let path = dcpFixture(name)
    let folder = try copy(name)
    let wholes = try filesIn(path).filter { $0 != "sharded" }.map { ($0, try readBytes("\(path)/\($0)")) }
    let format = try Format.input(path)
    var random = SplitMix(state: 3)
    for (name, whole) in wholes {
      for _ in 0..<60 {
        var bytes = whole
        for _ in 0..<Int.random(in: 1...3, using: &random) {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        writeBytes(bytes, to: folder.file(name))
        _ = try? touchAll(format.read(folder.path, Format.ReadOptions()).checkpoint.root)
        _ = try? format.verify(folder.path)
      }
      writeBytes(whole, to: folder.file(name))
    }
  }

  // MARK: - Claims

  @Test func terabytesThatAreOnlyClaimedAreRefused() throws {
    let trillion = 1 << 40
    try refused("w", "is said to lie in") {
      $0.size = [trillion]
      $0.chunks = [DCPBuilder.Chunk(offsets: [0], sizes: [trillion])]
      $0.stored.remove(at: 1)
      $0.stored[0].offsets = [0]
    }
    try refused("w", "which is too large") { $0.size = [1 << 32, 1 << 32] }
    try refused("w", "in none of the chunks") { $0.size = [trillion, 2] }
    try refused("has 65 dimensions") { $0.size = Array(repeating: 1, count: 65) }
    try refused("is negative") { $0.size = [-4, 2] }
  }

  /// A pickle's nodes can be named again in a few bytes; what is made of them is bounded by the file's size.
  @Test func sharedNodesDoNotMultiply() throws {
    let long = String(repeating: "x", count: 1 << 16)
    // One long text, put into the memo and named by every step of every path.
    try refused("many times as large") { builder in
      builder.paths = [("w", "V\(long)\np7\n")] + (0..<40).map { ("w\($0)", String(repeating: "g7\n", count: 30)) }
    }
    // One stray part with a long name.
    var builder = try DCPBuilder()
    builder.stored += (0..<4).map { DCPBuilder.Stored(name: long + "\($0)", offsets: nil, file: "a", length: "1") }
    let folder = try builder.folder()
    let warnings = try Format.dcp.read(folder.path, Format.ReadOptions()).checkpoint.warnings
    #expect(warnings.count == 1)
    #expect(warnings[0].hasPrefix("4 stored parts belong to no entry"))
    #expect(warnings[0].utf8.count < 1000)
    // One list of chunks for many tensors.
    let shared = (0..<300).map { _ in DCPBuilder.Chunk(offsets: [0, 0], sizes: [0, 2]) }
    try refused("more chunks than that") { builder in
      builder.chunks = shared
      builder.copies = 2000
    }
  }

  /// A tiny tensor of a large storage, deflated to next to nothing, as often as one likes.
  @Test func storagesLargerThanTheirTensorAreRefused() throws {
    let pickle =
      "ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI65536\ntQI0\n(I2\nI2\nt"
      + "(I2\nI1\ntI00\nccollections\nOrderedDict\n)RtR."
    let bytes = TorchArchiveBuilder.archive(
      pickle: [0x80, 2] + LegacyBuilder.bytes(pickle), storages: [[UInt8](repeating: 0, count: 4 << 16)])
    try refused("are stored for float32 [2, 2]") { builder in
      builder.files[1].bytes = bytes
      builder.stored[1].length = "\(bytes.count)"
    }
  }

  /// Boxes that all lie beside each other, whichever way they are swept: each would be compared with each.
  @Test func chunksThatTakeForeverAreRefused() throws {
    func item(_ shape: [Int], _ boxes: [([Int], [Int])]) -> DCPMetadata.TensorItem {
      DCPMetadata.TensorItem(
        dtype: .uint8, shape: shape, chunks: boxes.map { DCPMetadata.Chunk(offsets: $0.0, sizes: $0.1) })
    }
    let count = 1000
    let stairs = item([count, count], (0..<count).map { ([$0, $0], [count - $0, 1]) })
    let error = #expect(throws: CheckpointError.self) { try ChunkCover.check(stairs, comparing: 10_000) }
    #expect(error?.message.contains("too many could overlap") == true)
    // What PyTorch deals out is swept in no time.
    let columns = item([count, count], (0..<count).map { ([0, $0], [count, 1]) })
    #expect(throws: Never.self) { try ChunkCover.check(columns, comparing: 2 * count) }
    let grid = item([32, 32], (0..<1024).map { ([$0 / 32, $0 % 32], [1, 1]) })
    #expect(throws: Never.self) { try ChunkCover.check(grid, comparing: 32 * 1024) }
  }

  @Test func typesThatTorchHasNotAreRefused() throws {
    try refused("unknown dtype torch.float31", code: .unsupported) { $0.dtype = "ctorch\nfloat31\n" }
    try refused("without a dtype") { $0.dtype = "I3\n" }
  }

  @Test func extensionsAreNamed() throws {
    try refused("w", "through the extension 'zstd'", code: .unsupported) { $0.stored[0].transforms = "(Vzstd\nl" }
  }

  // MARK: - Paths

  @Test func pathsThatContradictAreRefused() throws {
    try refused("two entries have the path w") { $0.paths[1].1 = "Vw\n" }
    try refused("leads through something") { $0.paths[1].1 = "Vw\nVx\n" }
    try refused("leads through something") { $0.paths[1].1 = "I0\n" }
    try refused("the index 1099511627776") { $0.paths[1].1 = "Vlist\nL\(1 << 40)L\n" }
    // Honest lists have holes, where empty dicts were; many small paths shall not make many long lists.
    try refused("beyond any list") {
      $0.paths[0].1 = "Va\nL600000L\n"
      $0.paths[1].1 = "Vb\nL600000L\n"
    }
    try refused("the index -1") { $0.paths[1].1 = "Vlist\nI-1\n" }
    try refused("a path of 0 steps") { $0.paths[1].1 = "" }
    try refused("a path of 5000 steps") { $0.paths[1].1 = String(repeating: "Va\n", count: 5000) }
  }

  // MARK: - The pickle

  @Test func nothingIsEverRun() throws {
    let folder = try DCPBuilder().folder()
    let victim = folder.file("victim")
    var builder = try DCPBuilder()
    builder.tail = "0cposix\nsystem\n(Vtouch \(victim)\ntR"
    try refused(builder.folder(), ["names posix.system, which runs code"])
    #expect(access(victim, F_OK) != 0)
  }

  @Test func anotherPickleIsNoMetadata() throws {
    for bytes in ["N.", "}.", "cbuiltins\nset\n)R.", "ctorch.distributed.checkpoint.metadata\nMetadata\n)\u{81}."] {
      let folder = try DCPBuilder().folder()
      writeBytes([0x80, 2] + LegacyBuilder.bytes(bytes), to: folder.file(".metadata"))
      #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
      #expect(try !Format.dcp.verify(folder.path).isSound)
    }
    let folder = try DCPBuilder().folder()
    writeBytes([], to: folder.file(".metadata"))
    #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
  }

  // MARK: - Ranks, safetensors

  private func copy(_ name: String) throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    try copy(dcpFixture(name), to: folder.path)
    return folder
  }

  private func copy(_ source: String, to target: String) throws {
    for file in filesIn(source) {
      if filesIn("\(source)/\(file)").isEmpty {
        writeBytes(try readBytes("\(source)/\(file)"), to: "\(target)/\(file)")
      } else {
        mkdir("\(target)/\(file)", 0o700)
        try copy("\(source)/\(file)", to: "\(target)/\(file)")
      }
    }
  }

  @Test func aRankWithoutItsMetadataIsFound() throws {
    let folder = try copy("per_rank")
    unlink(folder.file("__1.metadata"))
    try refused(folder, ["in none of the chunks"])
  }

  @Test func aMissingSafetensorsFileIsFound() throws {
    let shards = try copy("safetensors_shards")
    let first = try #require(filesIn(shards.path).first { $0.hasPrefix("shard-00001") })
    unlink(shards.file(first))
    #expect(throws: CheckpointError.self) { try readFolder(shards.path) }
    let joined = try copy("safetensors_joined")
    unlink(joined.file("model-00002-of-00002.safetensors"))
    let error = #expect(throws: CheckpointError.self) { try readFolder(joined.path) }
    #expect(error?.message.contains("model-00002-of-00002.safetensors") == true)
  }
}
