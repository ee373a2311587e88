import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

private func fixture(_ name: String) -> String { "\(fixtureFolder)/safetensors/\(name)" }

@Suite struct SafetensorsWriteTests {
  private let folder = TemporaryFolder()

  private func write(
    _ root: Value, _ name: String, _ change: (inout Format.WriteOptions) -> Void = { _ in }
  ) throws -> Format.Written {
    var options = Format.WriteOptions()
    change(&options)
    return try SafetensorsFile.write(root, to: folder.file(name), options)
  }

  /// FLT-4. `save_file` with and without metadata, and `save_model` with a tied weight.
  @Test(arguments: ["types", "bare", "tied"])
  func theReferencesFilesComeBackByteForByte(_ name: String) throws {
    let source = try SafetensorsFile.read(fixture("\(name).safetensors")).root
    #expect(try write(source, "out.safetensors").warnings.isEmpty)
    #expect(try readBytes(folder.file("out.safetensors")) == readBytes(fixture("\(name).safetensors")))
    // So they do by way of HDF5.
    _ = try NativeFormat.write(source, to: folder.file("a.h5"))
    _ = try write(try NativeFormat.read(folder.file("a.h5")).root, "again.safetensors")
    #expect(try readBytes(folder.file("again.safetensors")) == readBytes(fixture("\(name).safetensors")))
  }

  /// FLT-9.
  @Test func aTiedWeightIsTiedAgain() throws {
    let root = try SafetensorsFile.read(fixture("tied.safetensors")).root
    let dict = try #require(StateDict(root))
    #expect(dict.ties == [["lm_head.weight", "wte.weight"]])
    #expect(dict.dict.attributes.first?.value.entryCount == 0, "the hint is no text of the file's")
  }

  @Test func theHubsSplitIsOurs() throws {
    let source = try TorchZip.read(fixture("hub.pt")).root
    let written = try write(source, "hub") {
      $0.maximumShardSize = 1000
      $0.weightsAlone = true
    }
    let names = namesIn(fixture("hub"))
    #expect(filesIn(folder.file("hub")) == names)
    for name in names {
      #expect(try readBytes(folder.file("hub/\(name)")) == readBytes(fixture("hub/\(name)")), "\(name)")
    }
    #expect(written.bytes == names.reduce(0) { $0 + ((try? readBytes(folder.file("hub/\($1)")).count) ?? 0) })
  }

  @Test(arguments: ["set", "set.safetensors", "set.safetensors.index.json"])
  func aSetHoldsTheWholeCheckpoint(_ name: String) throws {
    let source = try readFixture("transformer_adamw").root
    let written = try write(source, name) { $0.maximumShardSize = 50_000 }
    #expect(written.warnings.isEmpty)
    let path = folder.file(name == "set" ? "set" : "set.safetensors.index.json")
    let format = try Format.input(path)
    #expect(format.id == "safetensors-sharded")
    let opened = try format.read(path, Format.ReadOptions())
    #expect(opened.checkpoint.warnings.isEmpty)
    #expect(try ContentDigest.compute(opened.checkpoint.root) == ContentDigest.compute(source))
    #expect(try format.verify(path).isSound)
    #expect(opened.bytes == written.bytes)
  }

  @Test func whatFitsIsOneFile() throws {
    let source = try SafetensorsFile.read(fixture("types.safetensors")).root
    _ = try write(source, "one") { $0.maximumShardSize = 1 << 20 }
    #expect(filesIn(folder.file("one")) == ["model.safetensors"])
    #expect(try readBytes(folder.file("one/model.safetensors")) == readBytes(fixture("types.safetensors")))
    _ = try write(source, "one.safetensors") { $0.maximumShardSize = 1 << 20 }
    #expect(filesIn(folder.path).sorted() == ["one", "one.safetensors"])
  }

  @Test(arguments: ["b.safetensors.index.json", "b-00002-of-00003.safetensors"])
  func aSetReplacesNothingUnasked(_ there: String) throws {
    let source = try readFixture("transformer_adamw").root
    writeBytes([1, 2, 3], to: folder.file(there))
    let error = #expect(throws: CheckpointError.self) {
      try write(source, "b.safetensors") { $0.maximumShardSize = 100_000 }
    }
    #expect(error?.code == .cannotCreate)
    #expect(filesIn(folder.path) == [there])
    #expect(try readBytes(folder.file(there)) == [1, 2, 3])
  }

  @Test func anIndexWithoutASizeIsAskedFor() throws {
    let error = #expect(throws: CheckpointError.self) { try write(dict(), "a.safetensors.index.json") }
    #expect(error?.code == .usage)
  }

  @Test func weightsAloneAreWhatOtherProgramsWrite() throws {
    let source = try readFixture("state_dict").root
    _ = try write(source, "a.safetensors") { $0.weightsAlone = true }
    guard case .dict(let dict) = try SafetensorsFile.read(folder.file("a.safetensors")).root,
      case .dict(let text)? = dict.attributes.first?.value
    else { return #expect(Bool(false)) }
    #expect(text.entries.map(\.key.text) == ["format"])
    #expect(Set(dict.entries.map(\.key.text)) == Set(try #require(StateDict(source)).names))
  }

  @Test func aHeaderThatNoReaderTakesIsNotWritten() throws {
    let plan = try SafetensorsPlan(try readFixture("state_dict").root, leavesRest: false)
    let length = try SafetensorsLayout(plan.file).header.count - 8
    #expect(throws: CheckpointError.self) { try SafetensorsLayout(plan.file, limit: length - 1) }
    #expect(throws: Never.self) { try SafetensorsLayout(plan.file, limit: length) }
  }
}

extension Value {
  fileprivate var entryCount: Int? { if case .dict(let dict) = self { dict.count } else { nil } }
}
