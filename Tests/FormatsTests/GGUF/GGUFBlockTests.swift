import Checkpoint
import Testing

@testable import CheckpointFormats

/// Block formats: kept as they are stored, or decoded as the package gguf decodes them.
@Suite struct GGUFBlockTests {
  private static func bytes(_ tensor: Tensor, pieces: Int? = nil) throws -> [UInt8] {
    var bytes: [UInt8] = []
    if let pieces {
      try tensor.source.forEachPiece(limit: pieces) { bytes += $0 }
    } else {
      try tensor.source.withBytes { bytes = Array($0) }
    }
    return bytes
  }

  @Test func blocksAreKeptAsTheyAre() throws {
    let tensors = try #require(halves(try GGUFFile.read(ggufFixture("blocks")))?.tensors)
    guard case .record(let record)? = tensors["random.Q4_K"], case .string("Q4_K")? = record["type"],
      case .size([2, 256])? = record["shape"], case .tensor(let blocks)? = record["blocks"]
    else { return #expect(Bool(false)) }
    #expect(record.type == "gguf.blocks")
    #expect(blocks.dtype == .uint8 && blocks.shape == [2, 144] && blocks.source is MappedRange)
  }

  /// Every bit, NaN aside, is the package's.
  @Test func blocksAreDecodedAsThePackageDoes() throws {
    let checkpoint = try GGUFFile.read(ggufFixture("blocks"), dequantizes: true)
    let found = try #require(halves(checkpoint)?.tensors)
    let expected = try #require(halves(try GGUFFile.read(ggufFixture("decoded")))?.tensors)
    var decoded: Set<Substring> = []
    for entry in expected.entries {
      guard case .string(let name) = entry.key, case .tensor(let wanted) = entry.value else { continue }
      guard case .tensor(let tensor)? = found[entry.key] else {
        #expect(name.hasSuffix("IQ2_XXS") || name.hasSuffix("IQ3_S"), "\(name)")
        continue
      }
      #expect(tensor.dtype == .float32 && tensor.shape == wanted.shape, "\(name)")
      let bytes = try Self.bytes(tensor)
      #expect(bytes == (try Self.bytes(wanted)), "\(name)")
      #expect(bytes == (try Self.bytes(tensor, pieces: 1)), "\(name) in pieces of a block")
      #expect(bytes == (try Self.bytes(tensor, pieces: 1100)), "\(name) in larger pieces")
      decoded.insert(name.split(separator: ".")[name.contains(".") ? 1 : 0])
    }
    #expect(decoded.count == 17, "\(decoded)")
    #expect(
      checkpoint.warnings == [
        "1 tensor of type IQ2_XXS stays as blocks: there is no decoder for it",
        "1 tensor of type IQ3_S stays as blocks: there is no decoder for it",
      ])
  }

  @Test func allTypesThatAreDecodedAreTested() throws {
    let tensors = try #require(halves(try GGUFFile.read(ggufFixture("blocks")))?.tensors)
    for type in GGUFTensorType.all where type.isDecoded {
      #expect(tensors["random.\(type.name)"] != nil, "\(type.name)")
    }
  }

  @Test func theOptionReachesTheReader() throws {
    var options = Format.ReadOptions()
    options.dequantizes = true
    let tensors = try #require(halves(try Format.gguf.read(ggufFixture("blocks"), options).checkpoint)?.tensors)
    guard case .tensor? = tensors["random.Q8_0"] else { return #expect(Bool(false)) }
  }

  @Test func anEmptyTensorOfBlocksIsDecoded() throws {
    var builder = GGUFBuilder()
    builder.tensors = [("e", [0, 3], 8, 0)]
    let file = try ScratchFile("x.gguf", builder.bytes)
    guard case .tensor(let tensor)? = halves(try GGUFFile.read(file.path, dequantizes: true))?.tensors["e"] else {
      return #expect(Bool(false))
    }
    #expect(tensor.shape == [3, 0])
    #expect(try Self.bytes(tensor).isEmpty)
  }
}
