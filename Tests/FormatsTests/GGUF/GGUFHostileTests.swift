import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Files that must be refused, by name and before anything is allocated.
@Suite struct GGUFHostileTests {
  private func refused(
    _ words: String..., code: CheckpointError.Code = .damaged, change: (inout GGUFBuilder) -> Void
  ) throws {
    var builder = GGUFBuilder()
    change(&builder)
    try refused(builder.bytes, words, code)
  }

  private func refused(_ bytes: [UInt8], _ words: [String], _ code: CheckpointError.Code = .damaged) throws {
    let file = try ScratchFile("x.gguf", bytes)
    let error = #expect(throws: CheckpointError.self) { try GGUFFile.read(file.path) }
    #expect(error?.code == code, "\(error?.description ?? "")")
    #expect(error?.file == file.path)
    let told = [error?.place, error?.message].compactMap { $0 }.joined(separator: ": ")
    for word in words { #expect(told.contains(word), "\(told)") }
    #expect(try !Format.gguf.verify(file.path).isSound)
  }

  @Test func theBuilderMakesSoundFiles() throws {
    let checkpoint = try GGUFBuilder().read()
    guard let (tensors, metadata) = halves(checkpoint), case .tensor(let a)? = tensors["a"],
      case .tensor(let b)? = tensors["b"], case .string("test")? = metadata["general.architecture"]
    else { return #expect(Bool(false)) }
    #expect(a.shape == [2, 3] && b.shape == [4] && checkpoint.warnings.isEmpty)
    #expect(try b.elements(as: Int8.self) == [32, 33, 34, 35])
  }

  // MARK: - The header

  @Test func otherVersionsAreNamed() throws {
    try refused("version 1;", code: .unsupported) { $0.version = 1 }
    try refused("version 4;", code: .unsupported) { $0.version = 4 }
    try refused("big-endian", code: .unsupported) { $0.version = UInt32(3).bigEndian }
  }

  @Test func anotherMagicIsNamed() throws { try refused("GGUF", code: .unsupported) { $0.magic = "GGML" } }

  @Test(arguments: [0, 4, 11, 23, 40, 60, 100, 140]) func aFileThatIsCutShortIsRefused(size: Int) throws {
    let bytes = Array(GGUFBuilder().bytes.prefix(size))
    if size == 0 { return }
    try refused(bytes, [])
  }

  @Test func aFileThatIsCutShortNeverReads() throws {
    let bytes = GGUFBuilder().bytes
    for size in 1..<bytes.count { try refused(Array(bytes.prefix(size)), [], size < 4 ? .unsupported : .damaged) }
  }

  @Test(arguments: [16, UInt64(Int64.max), .max]) func countsAreHeldAgainstTheFile(count: UInt64) throws {
    try refused("\(count) tensors are claimed") { $0.tensorCount = count }
    try refused("\(count) metadata values are claimed") { $0.pairCount = count }
  }

  // MARK: - Metadata

  @Test func aKeyThatComesTwiceIsRefused() throws {
    try refused("the key 'general.architecture' comes twice") { $0.pairs.append($0.pairs[0]) }
  }

  @Test func anUnknownTypeIsNamed() throws {
    try refused("key 'x'", "type 13") { $0.pairs.append(("x", 13, [])) }
    try refused("key 'x'", "type 77") { $0.pairs.append(("x", 9, GGUFBuilder.array(77, []))) }
  }

  @Test(arguments: [1 << 20, 1 << 31, UInt64(Int64.max), .max]) func aLongStringIsRefused(length: UInt64) throws {
    try refused("key 'x'", "a string of \(length) bytes") { $0.pairs.append(("x", 8, GGUFBuilder.number(length))) }
  }

  @Test func aLongKeyIsRefused() throws {
    var bytes = GGUFBuilder().bytes
    bytes.replaceSubrange(24..<32, with: GGUFBuilder.number(UInt64.max))
    try refused(bytes, ["metadata value 0", "a key of \(UInt64.max) bytes"])
  }

  @Test(arguments: [0, 6, 7, 8, 9, 12] as [UInt32], [1 << 20, 1 << 61, .max] as [UInt64])
  func aLongArrayIsRefused(type: UInt32, count: UInt64) throws {
    try refused("key 'x'", "\(count) items of an array are claimed") {
      $0.pairs.append(("x", 9, GGUFBuilder.array(type, [], count: count)))
    }
  }

  @Test func deepArraysAreRefused() throws {
    func nested(_ depth: Int) -> [UInt8] {
      depth == 0 ? GGUFBuilder.array(0, [[1]]) : GGUFBuilder.array(9, [nested(depth - 1)])
    }
    var builder = GGUFBuilder()
    builder.pairs.append(("x", 9, nested(7)))
    #expect(try halves(builder.read())?.metadata.count == 2)
    try refused("key 'x'", "deep") { $0.pairs.append(("x", 9, nested(8))) }
    try refused("key 'x'", "deep") { $0.pairs.append(("x", 9, nested(5000))) }
  }

  @Test func aBoolIsZeroOrOne() throws {
    try refused("key 'x'", "a bool is 2") { $0.pairs.append(("x", 7, [2])) }
    try refused("key 'x'", "a bool is 255") { $0.pairs.append(("x", 9, GGUFBuilder.array(7, [[0], [1], [255]]))) }
  }

  @Test func aKeyThatIsNoUTF8IsRefused() throws {
    var bytes = GGUFBuilder().bytes
    bytes[33] = 0xFF
    try refused(bytes, ["a key is no UTF-8"])
  }

  @Test(arguments: [0, 1, 4, 12, 24, 48] as [UInt32]) func alignmentIsAPowerOfTwo(alignment: UInt32) throws {
    try refused("key 'general.alignment'", "it is \(alignment)") {
      $0.pairs.append(("general.alignment", 4, GGUFBuilder.number(alignment)))
    }
  }

  @Test func alignmentHasOneType() throws {
    try refused("key 'general.alignment'", "(u64)") {
      $0.pairs.append(("general.alignment", 10, GGUFBuilder.number(UInt64(32))))
    }
  }

  // MARK: - Tensors

  @Test func aTensorThatComesTwiceIsRefused() throws {
    try refused("the tensor 'a' comes twice") { $0.tensors[1].name = "a" }
  }

  @Test func fiveDimensionsAreRefused() throws {
    try refused("tensor 'a'", "5 dimensions") { $0.tensors[0].shape = [1, 1, 1, 2, 3] }
  }

  @Test func shapesThatOverflowAreRefused() throws {
    try refused("tensor 'a'", "too large") { $0.tensors[0].shape = [1 << 32, 1 << 32] }
    try refused("tensor 'a'", "too large") { $0.tensors[0].shape = [1 << 61] }
    try refused("tensor 'a'", "too large") { $0.tensors[0].shape = [0, 1 << 32, 1 << 32] }
    try refused("tensor 'a'", "beyond 2^63") { $0.tensors[0].shape = [.max] }
  }

  @Test func unknownElementTypesAreNamed() throws {
    for type in [4, 5, 9, 31, 36, 99, UInt32.max] {
      try refused("tensor 'a'", "number \(type)", code: .unsupported) { $0.tensors[0].type = type }
    }
  }

  @Test func rowsAreWholeBlocks() throws {
    try refused("tensor 'a'", "not possible for Q8_0") {
      $0.tensors[0].type = 8
      $0.tensors[0].shape = [33, 1]
    }
  }

  @Test func offsetsAreAligned() throws { try refused("tensor 'b'", "offset 33") { $0.tensors[1].offset = 33 } }

  @Test(arguments: [64, 1 << 40, UInt64(Int64.max) - 31]) func offsetsLieInTheFile(offset: UInt64) throws {
    try refused("tensor 'b'", "beyond the file") { $0.tensors[1].offset = offset }
  }

  @Test func overlapsAreRefused() throws {
    try refused("tensor 'b'", "belong to the tensor 'a' too") { $0.tensors[1].offset = 0 }
    try refused("tensor 'b'", "belong to the tensor 'a' too") {
      $0.tensors[0].shape = [8, 1]
      $0.tensors[1] = ("b", [4], 24, 0)
    }
  }

  @Test func holesAndWhatFollowsAreToldOf() throws {
    var builder = GGUFBuilder()
    builder.tensors[1].offset = 64
    builder.data = [UInt8](repeating: 7, count: 160)
    #expect(
      try builder.read().warnings == [
        "32 bytes between the tensors belong to none; they are not read", "64 bytes follow the data; they are not read",
      ])
  }

  // MARK: - Whole checkpoints

  private func withText(_ tree: String, _ change: (inout GGUFBuilder) -> Void = { _ in }) throws -> Checkpoint {
    var builder = GGUFBuilder()
    builder.pairs.append(("ckpt.training", 8, GGUFBuilder.string("{\"version\":1,\"tree\":\(tree)}")))
    change(&builder)
    return try builder.read()
  }

  /// FLT-10. As after another program has quantised a tensor, or added one.
  @Test func aQuantisedTensorThatTheTextDoesNotTellOfIsNotLost() throws {
    let found = try withText(#"{"a":{"%tensor":"a"}}"#) { builder in
      builder.tensors[1] = ("b", [32], 8, 32)
      builder.data = [UInt8](repeating: 1, count: 32 + 34)
    }
    #expect(found.warnings.first?.contains("the quantised tensor 'b'") == true)
    #expect(halves(found)?.tensors.entries.map(\.key.text) == ["a", "b"])
  }

  @Test func aRecordOfMoreElementsThanBytesCanHoldIsNoTensor() throws {
    func blocks(_ size: Int) throws -> BlockTensor? {
      let bytes = try Tensor(dtype: .uint8, shape: [34], source: BufferSource([UInt8](repeating: 0, count: 34)))
      return BlockTensor(BlockTensor(type: "Q8_0", shape: [size], blocks: bytes).value)
    }
    #expect(try blocks(32) != nil)
    #expect(try blocks(1 << 62) == nil)
  }

  @Test func moreStringsThanMemoryIsForAreRefused() throws {
    let count = UInt64(GGUF.maximumListed + 1)
    var builder = GGUFBuilder()
    builder.pairs.append(("x", 9, GGUFBuilder.array(8, [], count: count)))
    builder.tensors = []
    let file = try ScratchFile("x.gguf", builder.bytes)
    // A file of holes takes no room on the disk, however many strings it holds.
    #expect(truncate(file.path, off_t(builder.bytes.count + 8 * Int(count))) == 0)
    let error = #expect(throws: CheckpointError.self) { try GGUFFile.read(file.path) }
    #expect(error?.code == .unsupported)
    #expect(error?.place?.contains("key 'x'") == true)
  }
}
