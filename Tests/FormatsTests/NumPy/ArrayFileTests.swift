import Checkpoint
import CheckpointFormats
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Readers of arrays against numpy, h5py and safetensors, whose values are in `arrays.tsv`.
@Suite struct ArrayFileTests {
  @Test(arguments: Set(ExpectedArray.all.map(\.file)).sorted())
  func arraysAreWhatTheirLibrariesSay(_ file: String) throws {
    let found = tensors(in: file, try readArrays("\(fixtureFolder)/data/\(file)"))
    for expected in ExpectedArray.all where expected.file == file {
      #expect(try expected.difference(from: found[expected.name]) == nil, "\(expected)")
    }
  }

  @Test func everyFileIsTested() { #expect(ExpectedArray.all.count >= 100) }

  @Test func npzKeepsTheOrderOfItsRecords() throws {
    guard case .dict(let dict) = try NumPyFile.read("\(fixtureFolder)/data/types.npz").root else {
      return #expect(Bool(false))
    }
    #expect(dict.entries.first?.key == .string("t_f2"))
    #expect(dict.entries.last?.key == .string("t_c16"))
  }

  @Test func storedArraysStayInTheFile() throws {
    guard case .tensor(let tensor) = try NumPyFile.read("\(fixtureFolder)/data/version1.npy").root else {
      return #expect(Bool(false))
    }
    #expect(tensor.source is MappedRange)
  }

  @Test func whatIsNoArrayIsLeftOutWithAWord() throws {
    let torch = try NumPyFile.read("\(fixtureFolder)/data/set.pt")
    guard case .dict(let dict) = torch.root else { return #expect(Bool(false)) }
    #expect(dict.entries.isEmpty)
    #expect(torch.warnings.contains { $0.contains("set/data.pkl is no array") }, "\(torch.warnings)")
    let hdf5 = try HDF5Arrays.read("\(fixtureFolder)/data/plain.h5")
    for name in ["text", "table", "soft", "elsewhere"] {
      #expect(hdf5.warnings.contains { $0.hasPrefix("\(name): ") }, "\(name) in \(hdf5.warnings)")
    }
  }

  @Test func bytesAfterAnArrayAreToldOf() throws {
    let file = try ScratchFile("x.npy", try fileBytes("\(fixtureFolder)/data/version1.npy") + [1, 2, 3])
    #expect(try NumPyFile.read(file.path).warnings == ["3 bytes follow the array; they are not read"])
  }

  @Test func metadataIsKept() throws {
    guard case .dict(let dict) = try SafetensorsFile.read("\(fixtureFolder)/data/types.safetensors").root,
      case .dict(let text)? = dict.attributes.first?.value
    else { return #expect(Bool(false)) }
    #expect(dict.attributes.first?.name == "__metadata__")
    guard case .string(let note)? = text["note"] else { return #expect(Bool(false)) }
    #expect(note == "ä")
  }

  @Test func packedFloatsAndUnknownFieldsAreTaken() throws {
    let found = tensors(in: "", try SafetensorsFile.read("\(fixtureFolder)/data/lax.safetensors"))
    #expect(found["packed"]?.dtype == .float4_e2m1fn)
    #expect(found["packed"]?.shape == [4])
    #expect(found.count == 2)
  }

  @Test func namesAreBytes() throws {
    let header =
      #"{"\u00e9":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"e\u0301":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
    let file = try ScratchFile("x.safetensors", length + Array(header.utf8) + [1, 2])
    guard case .dict(let dict) = try SafetensorsFile.read(file.path).root else { return #expect(Bool(false)) }
    #expect(dict.count == 2)
  }
}

@Suite struct HostileArrayTests {
  private static let cases = ExpectedArray.lines("hostile/hostile.tsv")

  @Test(arguments: cases.map { $0[0] })
  func isRefusedInPlainWords(_ file: String) throws {
    let words = try #require(Self.cases.first { $0[0] == file }?[1])
    let path = "\(fixtureFolder)/data/hostile/\(file)"
    let error = #expect(throws: CheckpointError.self) { try touchAll(readArrays(path).root) }
    #expect(error?.file == path)
    #expect(error?.code == .damaged || error?.code == .unsupported)
    #expect(error?.description.contains(words) == true, "\(String(describing: error)) lacks '\(words)'")
    #expect(access("EXECUTED", F_OK) != 0)
  }

  @Test func theyAreAllThere() { #expect(Self.cases.count > 60) }

  @Test(arguments: ["version1.npy", "types.npz", "others.npz", "types.safetensors", "zip64.npz", "set_deflated.npz"])
  func everyTruncationIsFound(_ name: String) throws {
    let whole = try fileBytes("\(fixtureFolder)/data/\(name)")
    let suffix = String(name.split(separator: ".")[1])
    let file = try ScratchFile("cut.\(suffix)")
    for length in Array(stride(from: 0, to: whole.count, by: max(1, whole.count / 2000))) + [whole.count - 1] {
      try file.write(Array(whole[..<length]))
      #expect(throws: CheckpointError.self, "\(length)") { try touchAll(readArrays(file.path).root) }
    }
  }

  @Test(arguments: [
    "version2.npy", "fortran_big.npy", "types.npz", "others.npz", "types.safetensors", "zip64.npz", "set_deflated.npz",
  ])
  func flippedBytesNeverCrash(_ name: String) throws {
    let whole = try fileBytes("\(fixtureFolder)/data/\(name)")
    var random = SplitMix(state: 11)
    let file = try ScratchFile("flip.\(name.split(separator: ".")[1])")
    for _ in 0..<400 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      try file.write(bytes)
      _ = try? touchAll(readArrays(file.path).root)
    }
  }
}
