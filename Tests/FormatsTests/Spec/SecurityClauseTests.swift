import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 12, where `NativeHostileTests` has no file for it.
@Suite struct SecurityClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  private func write() throws {
    let state = dict(("step", .int(3)), ("m", try tensor([1, 2], [2])), ("v", try tensor([3, 4], [2])))
    let optimizer = optimizer([(.string("w"), state)], [group([.string("w")]), group([])])
    try NativeFormat.write(
      dict(("a", try tensor([1, 2], [2])), ("b", try tensor([3, 4], [2])), ("opt", optimizer)), to: path,
      options: replacing)
  }

  /// SEC-6: a dataset whose header, checksum and all, says that it lies where another one does.
  @Test(arguments: [
    ("b", "a", 0), ("b", "a", 4), ("b", "opt/m/w", 0), ("b", "opt/params", 0), ("b", "opt/step", 4),
    ("opt/step", "opt/params", 0), ("b", "manifest", 16),
  ])
  func overlappingDatasetsAreRefused(moved: String, victim: String, shift: Int) throws {
    try write()
    let file = try Survey(path)
    let (node, target) = (try file.node(moved), try unwrapped(file.node(victim).offset))
    var bytes = try readBytes(path)
    let header = Int(node.address)
    let end = try headerEnd(bytes, header)
    let address = try unwrapped(bytes[header..<end].firstRange(of: littleEndian([try unwrapped(node.offset)])))
    bytes.replaceSubrange(address, with: littleEndian([target + shift]))
    bytes.replaceSubrange(end..<(end + 4), with: littleEndian([lookup3(bytes[header..<end])]))
    writeBytes(bytes, to: path)
    #expect(try Survey(path).node(moved).offset == target + shift)
    #expect(refusal(path).contains("overlap"))
    #expect(problems(path).contains { $0.contains("overlap") })
  }

  /// The end of a version 2 object header's first block: where its checksum lies.
  private func headerEnd(_ bytes: [UInt8], _ start: Int) throws -> Int {
    #expect(bytes[start...].starts(with: Array("OHDR\u{2}".utf8)))
    let flags = bytes[start + 5]
    var place = start + 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
    let width = 1 << Int(flags & 3)
    let size = bytes[place..<(place + width)].reversed().reduce(0) { $0 << 8 | Int($1) }
    place += width + size
    let checksum = bytes[place..<(place + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    #expect(checksum == lookup3(bytes[start..<place]))
    return place
  }

  /// SEC-2: the groups inside an optimizer, too, are reached once.
  @Test(arguments: [("opt", "v", "/opt/m"), ("opt/param_groups", "1", "/opt/param_groups/0"), ("opt", "v", "/opt")])
  func anOptimizersGroupsAreReachedOnce(place: String, link: String, target: String) throws {
    try write()
    try edit(path) { root in
      try within(root, place) { group in
        try group.remove(link)
        try group.createHardLink(link, to: target)
      }
    }
    #expect(refusal(path).contains("linked more than once"))
  }

  /// SEC-4, SEC-9: a file of a few hundred bytes that declares a terabyte is refused before anything is allocated.
  @Test func aClaimAloneAllocatesNothing() throws {
    try write()
    var bytes = try readBytes(path)
    let header = Int(try Survey(path).node("b").address)
    let end = try headerEnd(bytes, header)
    let place = try unwrapped(bytes[header..<end].firstRange(of: littleEndian([2])))
    bytes.replaceSubrange(place, with: littleEndian([1 << 40]))
    bytes.replaceSubrange(end..<(end + 4), with: littleEndian([lookup3(bytes[header..<end])]))
    writeBytes(bytes, to: path)
    #expect(refusal(path).contains("it declares \(4 << 40) bytes; 8 are stored"))
  }
}

/// Bob Jenkins' hash, the checksum of HDF5's metadata.
private func lookup3(_ key: some Collection<UInt8>) -> UInt32 {
  var rest = Array(key)[...]
  var (a, b, c) = (UInt32(0xDEAD_BEEF), UInt32(0xDEAD_BEEF), UInt32(0xDEAD_BEEF))
  (a, b, c) = (a &+ UInt32(rest.count), b &+ UInt32(rest.count), c &+ UInt32(rest.count))
  guard !rest.isEmpty else { return c }
  func rotated(_ x: UInt32, _ k: UInt32) -> UInt32 { x << k | x >> (32 - k) }
  func add(_ block: [UInt8]) {
    func word(_ start: Int) -> UInt32 { block[start..<(start + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) } }
    (a, b, c) = (a &+ word(0), b &+ word(4), c &+ word(8))
  }
  while rest.count > 12 {
    add(Array(rest.prefix(12)))
    rest = rest.dropFirst(12)
    (a, c) = ((a &- c) ^ rotated(c, 4), c &+ b)
    (b, a) = ((b &- a) ^ rotated(a, 6), a &+ c)
    (c, b) = ((c &- b) ^ rotated(b, 8), b &+ a)
    (a, c) = ((a &- c) ^ rotated(c, 16), c &+ b)
    (b, a) = ((b &- a) ^ rotated(a, 19), a &+ c)
    (c, b) = ((c &- b) ^ rotated(b, 4), b &+ a)
  }
  add(Array(rest) + [UInt8](repeating: 0, count: 12 - rest.count))
  c = (c ^ b) &- rotated(b, 14)
  a = (a ^ c) &- rotated(c, 11)
  b = (b ^ a) &- rotated(a, 25)
  c = (c ^ b) &- rotated(b, 16)
  a = (a ^ c) &- rotated(c, 4)
  b = (b ^ a) &- rotated(a, 14)
  c = (c ^ b) &- rotated(b, 24)
  return c
}
