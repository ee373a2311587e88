import Checkpoint
import CheckpointFormats
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct TorchHostileTests {
  @Test(arguments: namesIn("\(fixtureFolder)/hostile").filter { $0.hasSuffix(".pt") })
  func isRefused(_ file: String) throws {
    let path = "\(fixtureFolder)/hostile/\(file)"
    let error = #expect(throws: CheckpointError.self) { try touchAll(TorchZip.read(path).root) }
    #expect(error?.file == path)
    #expect(error?.code == .damaged || error?.code == .unsupported)
    #expect(access("EXECUTED", F_OK) != 0)
    #expect(try !TorchZip.verify(path).problems.isEmpty)
  }

  @Test(arguments: ["state_dict", "deflated"])
  func everyTruncationIsFound(_ name: String) throws {
    let whole = try fileBytes(torchFixture(name))
    // Every length of the directory's end, and a spread of the others.
    let lengths = Array(stride(from: 1, to: whole.count - 400, by: 97)) + Array(max(1, whole.count - 400)..<whole.count)
    let file = try ScratchFile()
    for length in lengths {
      try file.write(Array(whole[..<length]))
      #expect(throws: CheckpointError.self) { try TorchZip.read(file.path) }
    }
    try file.write(Array(whole[..<(whole.count / 2)]))
    let error = #expect(throws: CheckpointError.self) { try TorchZip.read(file.path) }
    #expect(error?.advice?.contains("cut short") == true)
  }

  @Test(arguments: ["minimal", "objects", "protocol4", "views", "sparse", "quantised"])
  func flippedBytesNeverCrash(_ name: String) throws {
    let whole = try fileBytes(torchFixture(name))
    var random = SplitMix(state: 7)
    for _ in 0..<1500 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let file = try ScratchFile("flip.pt", bytes)
      // Without CRC checks, so that the damage gets as far as it can.
      _ = try? touchAll(TorchZip.read(file.path, options: .init(verifyChecksums: false)).root)
    }
  }

  @Test func aFlippedByteOfAStorageIsFoundByItsRecord() throws {
    var bytes = try fileBytes(torchFixture("state_dict"))
    guard case .dict(let root) = try readFixture("state_dict").root, case .tensor(let tensor) = root.entries[0].value
    else {
      return #expect(Bool(false))
    }
    var content: [UInt8] = []
    try tensor.source.withBytes { content = Array($0) }
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: content) })
    bytes[place + 5] ^= 0x10
    let file = try ScratchFile("flip.pt", bytes)
    let checkpoint = try TorchZip.read(file.path)
    let error = #expect(throws: CheckpointError.self) { try touchAll(checkpoint.root) }
    #expect(error?.place == "record data/0")
    #expect(try TorchZip.verify(file.path).problems.map(\.place) == ["record data/0"])
    try touchAll(TorchZip.read(file.path, options: .init(verifyChecksums: false)).root)
  }

  @Test func lostZerosAreToldFromFlippedBits() throws {
    var pickle: [UInt8] = [0x80, 2]
    pickle +=
      Array("ctorch._utils\n_rebuild_tensor_v2\n((X".utf8) + [7, 0, 0, 0] + Array("storagectorch\nFloatStorage\n".utf8)
    pickle +=
      Array("X".utf8) + [1, 0, 0, 0] + Array("0X".utf8) + [3, 0, 0, 0] + Array("cpuK".utf8) + [2] + Array("tQK".utf8)
    pickle += [0] + Array("K".utf8) + [2, 0x85] + Array("K".utf8) + [1, 0x85, 0x89]
    pickle += Array("ccollections\nOrderedDict\n)RtR.".utf8)
    var bytes = TorchArchiveBuilder.archive(pickle: pickle, storages: [[1, 2, 3, 4, 5, 6, 7, 8]])
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: [1, 2, 3, 4, 5, 6, 7, 8]) })
    for index in 0..<8 { bytes[place + index] = 0 }
    let file = try ScratchFile("zeros.pt", bytes)
    let error = #expect(throws: CheckpointError.self) { try touchAll(TorchZip.read(file.path).root) }
    #expect(error?.message.contains("skip_data") == true)
  }

  /// One string of a megabyte, used 10 000 times.
  @Test func repeatedLargeStringsAreRefused() throws {
    var pickle: [UInt8] =
      [0x80, 4] + Array("(B".utf8) + [0, 0, 16, 0] + Array(repeating: 1, count: 1 << 20) + Array("q".utf8) + [0]
    for _ in 0..<100_000 { pickle += [UInt8(ascii: "h"), 0] }
    pickle += Array("t.".utf8)
    let file = try ScratchFile("strings.pt", TorchArchiveBuilder.archive(pickle: pickle))
    let error = #expect(throws: CheckpointError.self) { try TorchZip.read(file.path) }
    #expect(error?.message.contains("over and over") == true)
  }

  /// Names, escaped strings and sizes are copied for each use, like any other text.
  @Test(arguments: ["name", "class", "escaped", "size"])
  func whateverIsRepeatedCounts(_ kind: String) throws {
    let large = String(repeating: "A", count: 1 << 20)
    let (first, use): (String, String) =
      switch kind {
      case "name": ("cmodule\n\(large)\nq\0", "h\0")
      case "class": ("cmodule\n\(large)\nq\0", "h\0)\u{1}")
      case "size": ("ctorch\nSize\nq\0(" + String(repeating: "K\u{1}", count: 1000) + "tq\u{2}", "h\0h\u{2}\u{85}R")
      default:
        (
          "S'\(large)'\nq\0cnumpy\ndtype\n(S'u1'\ntRq\u{2}cnumpy.core.numeric\n_frombuffer\nq\u{3}",
          "h\u{3}(h\0h\u{2}J\0\0\u{10}\0\u{85}S'C'\ntR"
        )
      }
    // Each character is a byte; NEWOBJ stands for 1 after an empty tuple.
    var pickle: [UInt8] = [0x80, 2] + bytes(first) + bytes("](")
    let each = kind == "class" ? bytes("h\0)") + [0x81] : bytes(use)
    for _ in 0..<20_000 { pickle += each }
    pickle += bytes("e.")
    let file = try ScratchFile("repeated.pt", TorchArchiveBuilder.archive(pickle: pickle))
    let error = #expect(throws: CheckpointError.self) { try TorchZip.read(file.path) }
    #expect(error?.message.contains("over and over") == true, "\(kind): \(String(describing: error))")
  }

  private func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }

  /// A dict's state is a pair of dicts; pairs of pairs, in a row or doubling, are a nest that no recursion may follow.
  @Test(arguments: ["collections\nOrderedDict", "collections\ndefaultdict"])
  func nestedStatesAreRefused(_ name: String) throws {
    for step in ["N\u{86}", "2\u{86}"] {
      var pickle: [UInt8] = [0x80, 2] + bytes("c\(name)\n)RNN\u{86}")
      for _ in 0..<200_000 { pickle += bytes(step) }
      pickle += bytes("b.")
      let file = try ScratchFile("state.pt", TorchArchiveBuilder.archive(pickle: pickle))
      let error = #expect(throws: CheckpointError.self) { try TorchZip.read(file.path) }
      #expect(error?.code == .damaged)
    }
  }

  @Test func tensorsRebuiltFromRebuiltOnesAreRefused() throws {
    var pickle: [UInt8] = [0x80, 2] + bytes("ctorch._tensor\n_rebuild_from_type_v2\nq\0ctorch\nTensor\nq\u{1})q\u{2}")
    for _ in 0..<100_000 { pickle += bytes("(h\0h\u{1}h\u{2}Ntq\u{2}0") }
    pickle += bytes("h\0h\u{2}R.")
    let file = try ScratchFile("rebuilt.pt", TorchArchiveBuilder.archive(pickle: pickle))
    let error = #expect(throws: CheckpointError.self) { try TorchZip.read(file.path) }
    #expect(error?.message.contains("rebuilt") == true)
  }

  /// torch saves what uint8 and, say, uint16 tensors share as a `ByteStorage` here and an `UntypedStorage` there.
  @Test func aStorageMayBeTypedAndUntyped() throws {
    func storage(_ name: String, _ count: Int) -> String {
      "((S'storage'\nc\(name)\nS'0'\nS'cpu'\nI\(count)\ntQI0\n"
    }
    let hooks = "ccollections\nOrderedDict\n)R"
    let pickle =
      "](ctorch._utils\n_rebuild_tensor_v2\n" + storage("torch\nByteStorage", 4) + "(I4\nt(I1\ntI00\n\(hooks)tR"
      + "ctorch._utils\n_rebuild_tensor_v3\n" + storage("torch.storage\nUntypedStorage", 4)
      + "(I2\nt(I1\ntI00\n\(hooks)ctorch\nuint16\ntRe."
    let file = try ScratchFile(
      "shared.pt", TorchArchiveBuilder.archive(pickle: [0x80, 2] + bytes(pickle), storages: [[1, 2, 3, 4]]))
    guard case .sequence(.list, let items) = try TorchZip.read(file.path).root, items.count == 2,
      case .tensor(let first) = items[0], case .tensor(let second) = items[1]
    else {
      return #expect(Bool(false))
    }
    #expect((first.dtype, first.shape) == (.uint8, [4]))
    #expect((second.dtype, second.shape) == (.uint16, [2]))
    #expect(try second.elements(as: UInt16.self) == [0x0201, 0x0403])
  }

  /// Secondary threads have 512 KB on Apple's systems; without optimisation frames are several times as large.
  @Test(arguments: ["lists", "dicts", "objects"])
  func theDeepestTreeFitsASmallStack(_ kind: String) throws {
    let pickle = nested(kind, levels: 127)
    let outcome = Mutex("")
    try onSmallStack {
      let file: ScratchFile
      do {
        file = try ScratchFile("deep.pt", TorchArchiveBuilder.archive(pickle: pickle))
        _ = try TorchZip.read(file.path)
        outcome.withLock { $0 = "read" }
      } catch { outcome.withLock { $0 = "\(error)" } }
    }
    #expect(outcome.withLock { $0 } == "read")
  }

  private func nested(_ kind: String, levels: Int) -> [UInt8] {
    let (open, close): (String, String) =
      switch kind {
      case "lists": ("]", "a")
      case "dicts": ("}N", "s")
      default: ("cmodule\nName\n(", "tR")
      }
    // An object is two levels: itself and the tuple of its arguments.
    let count = kind == "objects" ? levels / 2 : levels - 1
    let text = String(repeating: open, count: count) + "N" + String(repeating: close, count: count)
    return [0x80, 2] + Array(text.utf8) + [UInt8(ascii: ".")]
  }
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}

#if DEBUG
  private let smallStack = 4 << 20
#else
  private let smallStack = 512 << 10
#endif

/// Runs something on a thread with little stack.
private func onSmallStack(_ body: @escaping @Sendable () -> Void) throws {
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  pthread_attr_setstacksize(&attributes, smallStack)
  #if canImport(Darwin)
    var thread: pthread_t?
  #else
    var thread = pthread_t()
  #endif
  let box = Unmanaged.passRetained(Box(body))
  let status = pthread_create(
    &thread, &attributes,
    { argument in
      #if canImport(Darwin)
        let pointer: UnsafeMutableRawPointer? = argument
      #else
        let pointer = argument
      #endif
      if let pointer { Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().body() }
      return nil
    }, box.toOpaque())
  try #require(status == 0)
  #if canImport(Darwin)
    if let thread { pthread_join(thread, nil) }
  #else
    pthread_join(thread, nil)
  #endif
}

private final class Box {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
