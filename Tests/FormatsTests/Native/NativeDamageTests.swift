import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// INT-2: whatever happens to a file's bytes, `verify` says so and nothing crashes.
@Suite struct NativeDamageTests {
  let folder = TemporaryFolder()

  private func smallTree() throws -> Value {
    let tied = try tensor([1, 2], [2])
    return dict(
      ("model", dict(("a", tied), ("b", tied))),
      (
        "optimizer",
        dict(
          ("state", .dict(Dict([Dict.Entry(.int(0), dict(("step", .int(3)), ("exp_avg", try tensor([5, 6], [2]))))]))),
          ("param_groups", .sequence(.list, [dict(("lr", .double(0.1)), ("params", .sequence(.list, [.int(0)])))])))
      ), ("step", .int(3)), ("name", .string("run")))
  }

  private func problems(_ path: String) -> [String] {
    do {
      return try NativeFormat.verify(path).problems.map { "\($0.place): \($0.what)" }
    } catch {
      return ["\(error)"]
    }
  }

  private func content(_ path: String) throws -> Digest { try ContentDigest.compute(try NativeFormat.read(path).root) }

  /// INT-2: found, or provably without effect on what a reader gives (padding before a tensor).
  @Test func everyFlippedByteIsFoundOrChangesNothing() throws {
    let path = folder.file("x.h5")
    try NativeFormat.write(try smallTree(), to: path)
    let bytes = try readBytes(path)
    let whole = try content(path)
    #expect(problems(path) == [])
    let descriptor = open(path, O_RDWR)
    defer { close(descriptor) }
    var (missed, harmless): ([Int], Int) = ([], 0)
    for offset in bytes.indices {
      var flipped = bytes[offset] ^ UInt8(1 << (offset % 8))
      pwrite(descriptor, &flipped, 1, off_t(offset))
      if problems(path).isEmpty {
        harmless += 1
        if try content(path) != whole { missed.append(offset) }
      }
      flipped = bytes[offset]
      pwrite(descriptor, &flipped, 1, off_t(offset))
    }
    #expect(missed == [])
    #expect(harmless < 64 * 4)
    #expect(problems(path) == [])
  }

  @Test func everyTruncationIsFound() throws {
    let path = folder.file("x.h5")
    try NativeFormat.write(try smallTree(), to: path)
    let bytes = try readBytes(path)
    var missed: [Int] = []
    for count in stride(from: bytes.count - 1, through: 0, by: -1) {
      truncate(path, off_t(count))
      if problems(path).isEmpty { missed.append(count) }
    }
    #expect(missed == [])
  }

  @Test func appendedBytesAreFound() throws {
    let path = folder.file("x.h5")
    try NativeFormat.write(try smallTree(), to: path)
    writeBytes(try readBytes(path) + [0], to: path)
    #expect(problems(path) != [])
  }

  @Test func damageIsNamed() throws {
    let path = folder.file("x.h5")
    try NativeFormat.write(try smallTree(), to: path)
    var bytes = try readBytes(path)
    let needle = withUnsafeBytes(of: (Float(5), Float(6))) { Array($0) }
    let place = try unwrapped(bytes.indices.first { bytes[$0...].starts(with: needle) })
    bytes[place] ^= 1
    writeBytes(bytes, to: path)
    #expect(problems(path).contains { $0.hasPrefix("/optimizer/exp_avg/a: the digest of its bytes is") })
    #expect(problems(path).contains { $0.hasPrefix("/: the content digest is") })
  }
}
