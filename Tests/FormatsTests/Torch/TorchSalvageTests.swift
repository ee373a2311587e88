import Checkpoint
import Testing

@testable import CheckpointFormats

/// What `convert --salvage` makes of a damaged archive.
@Suite struct TorchSalvageTests {
  private static let name = "cnn_adam_amsgrad.pt"
  private let whole: [UInt8]
  private let file: ScratchFile

  init() throws {
    whole = try fileBytes("\(fixtureFolder)/torch/\(Self.name)")
    file = try ScratchFile("damaged.pt")
  }

  private func salvage(_ bytes: [UInt8]) throws -> Salvage {
    try file.write(bytes)
    return try Salvage(TorchZip.read(file.path, options: TorchZip.ReadOptions(salvages: true)).root)
  }

  /// Every tensor with its path and its digest.
  private func tensors(_ root: Value) throws -> [String: String] {
    var found: [String: String] = [:]
    try root.forEachTensor(attributes: true) { (path, _, tensor) throws(CheckpointError) in
      found[path.text] = "\(tensor.dtype) \(tensor.shape) \(try tensor.digest())"
    }
    return found
  }

  @Test func aSoundFileLosesNothing() throws {
    let salvaged = try salvage(whole)
    #expect(salvaged.losses.isEmpty)
    let plain = try TorchZip.read("\(fixtureFolder)/torch/\(Self.name)").root
    #expect(try ContentDigest.compute(salvaged.root) == ContentDigest.compute(plain))
  }

  /// Wherever it is cut, what is kept is what it was, and the rest is listed.
  @Test func aFileThatWasCutShortGivesWhatCameBefore() throws {
    let all = try tensors(try TorchZip.read("\(fixtureFolder)/torch/\(Self.name)").root)
    var kept = Set<Int>()
    var pickles = 0
    for percent in stride(from: 1, through: 99, by: 3) {
      let bytes = Array(whole[..<(whole.count * percent / 100)])
      try file.write(bytes)
      let salvaged: Salvage
      do throws(CheckpointError) {
        salvaged = try Salvage(TorchZip.read(file.path, options: TorchZip.ReadOptions(salvages: true)).root)
      } catch {
        #expect(error.code == .damaged, "\(percent) %: \(error)")
        continue
      }
      pickles += 1
      let found = try tensors(salvaged.root)
      for (path, content) in found { #expect(all[path] == content, "\(percent) %: \(path)") }
      #expect(Set(found.keys).union(salvaged.losses.map(\.path)) == Set(all.keys), "\(percent) %")
      #expect(Set(found.keys).isDisjoint(with: salvaged.losses.map(\.path)))
      kept.insert(found.count)
    }
    #expect(pickles > 20 && kept.count > 10, "the more there is of the file, the more is saved")
  }

  /// The directory is sound, and the CRC-32 tells.
  @Test func aFlippedBitCostsTheTensorsOfItsRecord() throws {
    try file.write(whole)
    let archive = try ZipArchive(MappedFile(file.path))
    let entry = try #require(archive.entries.filter { $0.name.hasPrefix("data/") }.max { $0.size < $1.size })
    var bytes = whole
    bytes[entry.payload.lowerBound + entry.size / 2] ^= 4
    let salvaged = try salvage(bytes)
    #expect(salvaged.losses.count == 1)
    #expect(salvaged.losses.allSatisfy { $0.reason.contains(entry.name) })
  }

  /// The same without a directory, where the CRC-32 comes from behind the record.
  @Test func aFlippedBitIsSeenWithoutTheDirectoryToo() throws {
    try file.write(whole)
    let archive = try ZipArchive(MappedFile(file.path))
    let entry = try #require(archive.entries.filter { $0.name.hasPrefix("data/") }.max { $0.size < $1.size })
    var bytes = Array(whole[..<(whole.count - 30)])
    bytes[entry.payload.lowerBound] ^= 1
    let salvaged = try salvage(bytes)
    #expect(salvaged.losses.count == 1)
    #expect(salvaged.losses.allSatisfy { $0.reason.contains(entry.name) })
  }

  @Test func withoutThePickleThereIsNothing() throws {
    var bytes = Array(whole[..<(whole.count / 2)])
    let end = try #require(find([0x50, 0x4B, 0x07, 0x08], in: bytes))
    bytes[end] = 0
    let error = #expect(throws: CheckpointError.self) { try salvage(bytes) }
    #expect(error?.message.contains("data.pkl") == true, "\(error?.message ?? "")")
    #expect(throws: CheckpointError.self) { try salvage(Array("PK\u{3}\u{4}".utf8) + [0, 1, 2]) }
  }

  /// Many false beginnings and ends must not take long.
  @Test func madeUpSignaturesAreGivenUpSoon() throws {
    let header: [UInt8] =
      [0x50, 0x4B, 3, 4, 0, 0, 8, 8, 0, 0] + [UInt8](repeating: 0, count: 16) + [3, 0, 0, 0] + Array("a/b".utf8)
    let end: [UInt8] = [0x50, 0x4B, 7, 8] + [UInt8](repeating: 0xEE, count: 12)
    var bytes: [UInt8] = []
    for _ in 0..<20_000 { bytes += header + end }
    #expect(throws: CheckpointError.self) { try salvage(bytes) }
    bytes = []
    for _ in 0..<100_000 { bytes += header }
    #expect(throws: CheckpointError.self) { try salvage(bytes) }
  }

  private func find(_ word: [UInt8], in bytes: [UInt8]) -> Int? {
    (0..<(bytes.count - word.count)).first { bytes[$0..<($0 + word.count)].elementsEqual(word) }
  }
}
