import Checkpoint
import Testing

@testable import CheckpointFormats

/// Ties share `__metadata__` with text, so one may be taken for the other.
@Suite struct SafetensorsTieTests {
  private let folder = TemporaryFolder()

  private func written(_ root: Value, weightsAlone: Bool = false) throws -> (warnings: [String], found: Checkpoint) {
    var options = Format.WriteOptions()
    options.weightsAlone = weightsAlone
    options.replaces = true
    let path = folder.file("a.safetensors")
    let written = try SafetensorsFile.write(root, to: path, options)
    return (written.warnings, try SafetensorsFile.read(path))
  }

  private func model(_ entries: [(String, Value)], text: [(String, String)] = []) -> Value {
    let dict = Dict(text.map { Dict.Entry(.string($0.0), .string($0.1)) })
    return .dict(
      Dict(
        entries.map { Dict.Entry(.string($0.0), $0.1) },
        attributes: text.isEmpty ? [] : [Record.Field("__metadata__", .dict(dict))]))
  }

  private func names(_ checkpoint: Checkpoint) -> [String] {
    guard case .dict(let dict) = checkpoint.root else { return [] }
    return dict.entries.map(\.key.text).sorted()
  }

  /// FLT-9. `format` says whose names these are, and cannot be a tie too.
  @Test func aTiedTensorMayBeCalledFormat() throws {
    let weight = try tensor([1, 2], [2])
    let root = model([("format", weight), ("a", weight)])
    let (warnings, found) = try written(root)
    #expect(warnings.isEmpty && found.warnings.isEmpty)
    #expect(try ContentDigest.compute(found.root) == ContentDigest.compute(root))
    let alone = try written(root, weightsAlone: true)
    #expect(alone.warnings.count == 1)
    #expect(names(alone.found) == ["a"])
  }

  @Test func textGivesWayToATieOfItsName() throws {
    let weight = try tensor([1, 2], [2])
    let root = model([("a", weight), ("note", weight)], text: [("format", "pt"), ("note", "hello")])
    let (warnings, found) = try written(root)
    #expect(warnings.isEmpty && found.warnings.isEmpty)
    #expect(try ContentDigest.compute(found.root) == ContentDigest.compute(root))
  }

  /// As after a tensor was left out whose name was in the text too.
  @Test(arguments: [false, true]) func textIsNotTakenForATie(weightsAlone: Bool) throws {
    let root = model([("w", try tensor([1, 2], [2]))], text: [("format", "pt"), ("x", "w")])
    let (_, found) = try written(root, weightsAlone: weightsAlone)
    #expect(names(found) == ["w"])
    if !weightsAlone { #expect(try ContentDigest.compute(found.root) == ContentDigest.compute(root)) }
  }

  @Test func theFormatIsNoTie() throws {
    let root = model([("pt", try tensor([1, 2], [2]))], text: [("format", "pt"), ("note", "hello")])
    let (_, found) = try written(root)
    #expect(names(found) == ["pt"])
    #expect(try ContentDigest.compute(found.root) == ContentDigest.compute(root))
  }

  @Test func pairsThatCannotBeDoubledAreBytes() throws {
    let empty = Value.tensor(
      try Tensor(dtype: .float4_e2m1fn_x2, shape: [0, 1 << 62], source: BufferSource([])))
    let root = model([("z", empty)])
    let (_, found) = try written(root)
    #expect(try ContentDigest.compute(found.root) == ContentDigest.compute(root))
  }
}
