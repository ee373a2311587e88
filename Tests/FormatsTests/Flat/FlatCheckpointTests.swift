import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct FlatCheckpointTests {
  private let folder = TemporaryFolder()

  private func names(_ root: Value) throws -> [String] {
    try FlatCheckpoint(root, keepsTies: true) { _ in nil }.items.map(\.name)
  }

  /// FLT-5, FLT-6, FLT-7, FLT-8: whatever torch saved is whole in a safetensors file, and has the same digest.
  @Test(arguments: FixtureRoundTripTests.files)
  func everyCheckpointFits(_ name: String) throws {
    let source = try readFixture(name)
    _ = try SafetensorsFile.write(source.root, to: folder.file("a.safetensors"), Format.WriteOptions())
    let back = try SafetensorsFile.read(folder.file("a.safetensors"))
    #expect(back.warnings.isEmpty)
    #expect(try ContentDigest.compute(back.root) == ContentDigest.compute(source.root))
    #expect(try Format.safetensors.verify(folder.file("a.safetensors")).isSound)
  }

  /// FLT-1, FLT-2.
  @Test func tensorsAreCalledByTheirParameters() throws {
    let names = Set(try names(readFixture("transformer_adamw").root))
    for name in [
      "transformer.wte.weight", "lm_head.weight", "optimizer.exp_avg.transformer.wte.weight",
      "optimizer.exp_avg_sq.transformer.h.0.mlp.c_fc.weight", "optimizer.step.transformer.ln_f.bias",
    ] { #expect(names.contains(name), "\(name)") }
  }

  /// FLT-1, FLT-3.
  @Test func ofTwoModelsEachHasItsPath() throws {
    let names = try names(readFixture("gan").root)
    #expect(names.contains { $0.hasPrefix("netG.") })
    #expect(names.contains { $0.hasPrefix("netD.") })
    #expect(Set(names.map(Key.string)).count == names.count)
  }

  /// FLT-3.
  @Test func namesThatClashAreToldApart() throws {
    let one = try tensor([1], [1])
    let root = dict(("a", .sequence(.list, [one])), ("a.0", try tensor([2], [1])), ("c", .int(1)))
    #expect(try names(root) == ["a.0", "a.0~2"])
    #expect(try names(dict(("__metadata__", one), ("ckpt.training", one))) == ["__metadata__~2", "ckpt.training~2"])
    #expect(try names(one) == ["tensor"])
  }

  /// FLT-5, FLT-11.
  @Test(arguments: ["a.safetensors", "a.safetensors.index.json"])
  func aFlippedByteIsFound(_ name: String) throws {
    var options = Format.WriteOptions()
    if name.hasSuffix("json") { options.maximumShardSize = 100_000 }
    _ = try SafetensorsFile.write(readFixture("transformer_adamw").root, to: folder.file(name), options)
    let path = folder.file(name)
    #expect(try Format.input(path).verify(path).isSound)
    #expect(try Format.input(path).read(path, Format.ReadOptions()).checkpoint.recordedDigest != nil)
    let file = folder.file(name.hasSuffix("json") ? "a-00002-of-00003.safetensors" : name)
    var bytes = try readBytes(file)
    bytes[bytes.count - 5] ^= 1
    writeBytes(bytes, to: file)
    let report = try Format.input(path).verify(path)
    #expect(report.problems.count == 1)
    #expect(report.problems.first?.what.contains("content digest") == true)
  }

  private func rewritten(_ change: (String) -> String) throws -> Checkpoint {
    let plan = try SafetensorsPlan(
      dict(("w", try tensor([1, 2], [2])), ("step", .int(3))), leavesRest: false)
    var file = plan.file
    let place = try #require(file.metadata.firstIndex { $0.key == FlatCheckpoint.key })
    file.metadata[place].value = change(file.metadata[place].value)
    let writer = try SafetensorsWriter(file, to: folder.file("x.safetensors"), Format.WriteOptions())
    try writer.writeHeader(file)
    try writer.output.commit()
    return try SafetensorsFile.read(folder.file("x.safetensors"))
  }

  @Test func whatIsUnchangedIsTheTree() throws {
    let found = try rewritten { $0 }
    #expect(found.warnings.isEmpty)
    guard case .int(3)? = found.root[.key(.string("step"))] else { return #expect(Bool(false)) }
  }

  /// FLT-10. A file that another program changed: its tensors are there, with a warning, and `verify` finds fault with it.
  @Test(arguments: [
    (#""w"}"#, #""v"}"#, "does not have"), (#"{"%tensor":"w"}"#, "null", "does not tell of the tensor 'w'"),
    ("\"version\":1", "\"version\":2", "version 2"), ("\"tree\"", "\"three\"", "needs a version and a tree"),
    (#"{"%tensor":"w"}"#, #"{"%tensor":["w",{"dtype":"float64"}]}"#, "takes 16 bytes, found 8"),
    (#"{"%tensor":"w"}"#, #"{"%tensor":["w",{"shape":[-2]}]}"#, "negative"),
    (#"{"%tensor":"w"}"#, #"{"%tensor":["w",{"shape":[4611686018427387904,4]}]}"#, "too large"),
    (#"{"%tensor":"w"}"#, #"{"%tensor":["w",{"dtype":"float128"}]}"#, "not known"),
    (#"{"%tensor":"w"}"#, #"{"%tensor":["w",{"kind":"spoon"}]}"#, "says no name"),
    (
      #"{"%tensor":"w"}"#, #"[{"%tensor":"w"},{"%tensor":["w",{"shape":[1,2]}]}]"#, "two types or shapes"
    ),
    (#"{"%tensor":"w"}"#, #"{"%tensor":7}"#, "says no name"), (":3}}", ":3}", "expected"),
    (":3}}", ":3}}}", "expected"),
    (":3}}", "deep", "less nesting"),
  ])
  func aChangedFileStillGivesItsTensors(_ old: String, _ new: String, _ words: String) throws {
    let nested = ":" + String(repeating: "[", count: 2000) + String(repeating: "]", count: 2000) + "}}"
    let found = try rewritten { text in
      let parts = text.components(separatedBy: old)
      return parts.count == 2 ? parts[0] + (new == "deep" ? nested : new) + parts[1] : text
    }
    guard case .dict(let dict) = found.root else { return #expect(Bool(false)) }
    #expect(dict.entries.map(\.key.text) == ["w"])
    #expect(found.warnings.count == 1)
    #expect(found.warnings.first?.contains(words) == true, "\(found.warnings)")
    let report = try Format.safetensors.verify(folder.file("x.safetensors"))
    #expect(report.problems.count == 1)
  }
}

extension String {
  fileprivate func components(separatedBy separator: String) -> [String] {
    guard let range = firstRange(of: separator) else { return [self] }
    return [String(self[..<range.lowerBound]), String(self[range.upperBound...])]
  }
}
