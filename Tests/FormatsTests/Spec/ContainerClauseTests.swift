import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 2.
@Suite struct ContainerClauseTests {
  let folder = TemporaryFolder()

  private func tree() throws -> Value {
    guard case .dict(var dict) = try trainingTree() else { throw Missing() }
    dict.entries.append(Dict.Entry(.string("odd"), try oddTree()))
    return .dict(dict)
  }

  /// HDF-1: superblock 2 at the file's start, so no user block; every object's header is of version 2.
  @Test func theFileFormatIsThatOfHDF5_1_8() throws {
    let file = try surveyed(try tree(), folder)
    let bytes = try readBytes(folder.file("x.h5"))
    #expect(bytes.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A, 2]))
    #expect(file.all.count > 100)
    for node in file.all { #expect(bytes[Int(node.address)...].starts(with: Array("OHDR\u{2}".utf8))) }
  }

  /// HDF-2: hard links alone, and one to a group.
  @Test func linksAreHardAndGroupsHaveOne() throws {
    let file = try surveyed(try tree(), folder)
    #expect(file.linkKinds.allSatisfy { $0 == .hard })
    let groups = file.all.filter(\.isGroup).map(\.address)
    #expect(Set(groups).count == groups.count)
    #expect(try file.node("model/wte.weight").address == file.node("model/lm_head.weight").address)
  }

  /// HDF-3: every object's header and data begin at a multiple of 64. What is shorter than that between two tensors can
  /// only be padding (MAN-3).
  @Test func everyBlockIsAligned() throws {
    let file = try surveyed(try tree(), folder)
    let root = try file.node("").address
    for node in file.all where node.address != root {
      #expect(node.address % 64 == 0)
      if let offset = node.offset { #expect(offset % 64 == 0) }
    }
  }

  /// HDF-3: one block, at a multiple of 64 bytes, and of 4096 from 1 MiB on.
  @Test func tensorsAreAlignedBlocks() throws {
    guard case .dict(var tree) = try tree() else { throw Missing() }
    for (place, size) in [1 << 20, (1 << 20) - 1].enumerated() {
      let source = BufferSource([UInt8](repeating: 7, count: size))
      let large = try Tensor(dtype: .uint8, shape: [size], source: source)
      tree.entries.insert(Dict.Entry(.string("large \(place)"), .tensor(large)), at: place)
    }
    let file = try surveyed(.dict(tree), folder)
    let tensors = file.all.filter { $0.attributes["dtype"] != nil && !$0.bytes.isEmpty }
    #expect(tensors.count > 40)
    for tensor in tensors {
      #expect(tensor.layout == .contiguous)
      #expect(try unwrapped(tensor.offset) % (tensor.bytes.count >= 1 << 20 ? 4096 : 64) == 0)
    }
    let large = try file.node("large 0")
    let bytes = try readBytes(folder.file("x.h5"))
    #expect(bytes[try unwrapped(large.offset)...].starts(with: large.bytes))
  }

  /// HDF-3, SEC-5: what a repacking tool makes of a tensor is read too.
  @Test(arguments: [(nil, false), (6, false), (nil, true), (9, true)] as [(Int?, Bool)])
  func chunkedTensorsAreRead(level: Int?, shuffle: Bool) throws {
    let path = folder.file("c.h5")
    let values = (0..<60).map { Float($0 / 7) }
    try craft(path) { root in
      let dataset = try root.createDataset(
        "w", type: .float32, shape: .simple([6, 10]), chunks: [4, 3], deflateLevel: level, shuffle: shuffle)
      try dataset.writeAttribute("dtype", .string("float32"))
      try littleEndian(values).withUnsafeBytes { try dataset.write($0) }
    }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, dict(("w", try tensor(values, [6, 10])))))
  }

  /// HDF-4, SEC-7: no variable-length type, no reference, no compound but complex numbers. A global heap would show.
  @Test func allTypesArePlain() throws {
    let file = try surveyed(try tree(), folder)
    var types = file.all.compactMap(\.type)
    for node in file.all {
      for case .raw(let type, _, _) in node.attributes.values { types.append(type) }
    }
    #expect(Set(types).count > 12)
    for type in types {
      switch type {
      case .integer, .float, .bool, .complex, .fixedString: break
      default: Issue.record("\(type)")
      }
    }
    let bytes = try readBytes(folder.file("x.h5"))
    #expect(!bytes.contains(Array("GCOL".utf8)))
  }

  /// HDF-5: text is UTF-8 of fixed length, padded with NUL; numbers are little-endian.
  @Test func textAndNumbersAreStoredInOneWay() throws {
    for node in try surveyed(try tree(), folder).all {
      switch node.type {
      case .fixedString(_, let utf8, let padding): #expect(utf8 && padding == .nullPadded)
      case .integer(_, _, let bigEndian): #expect(!bigEndian)
      case .float(let layout), .complex(let layout): #expect(!layout.bigEndian)
      default: break
      }
    }
    // Attributes as h5py would see them: their datatype messages lie in the bytes.
    let bytes = try readBytes(folder.file("x.h5"))
    #expect(bytes.contains(Array("format\0".utf8) + [0x13, 0x11, 0, 0, 4, 0, 0, 0]))  // string, UTF-8, null-padded
  }

  /// HDF-6: no object has times, and equal trees are equal bytes.
  @Test func theBytesDependOnTheTreeAlone() throws {
    let file = try surveyed(try tree(), folder)
    let first = try readBytes(folder.file("x.h5"))
    let timesStored: UInt8 = 0x20
    for node in file.all { #expect(first[Int(node.address) + 5] & timesStored == 0) }
    try NativeFormat.write(try tree(), to: folder.file("y.h5"))
    let second = try readBytes(folder.file("y.h5"))
    #expect(first == second)
  }
}
