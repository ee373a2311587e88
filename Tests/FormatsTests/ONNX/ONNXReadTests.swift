import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

private func fixture(_ name: String) -> String { "\(fixtureFolder)/onnx/\(name)" }

private let expectedTensors = ExpectedArray.lines("../onnx/tensors.tsv").map { fields in
  ExpectedArray(
    file: fields[0], name: fields[1], dtype: fields[2], shape: fields[3].split(separator: ",").compactMap { Int($0) },
    hex: fields[4])
}

private func opened(_ name: String) throws -> Format.Opened {
  try Format.input(fixture(name)).read(fixture(name), Format.ReadOptions())
}

private func root(_ name: String) throws -> Dict {
  guard case .dict(let dict) = try opened(name).checkpoint.root else { throw CheckpointError(.damaged, "no dict") }
  return dict
}

/// The reader against models of the package onnx, whose tensors are in `tensors.tsv` as that package decodes them.
@Suite struct ONNXReadTests {
  @Test(arguments: Set(expectedTensors.map(\.file)).sorted())
  func tensorsAreWhatThePackageSays(_ file: String) throws {
    let found = tensors(in: file, try opened(file).checkpoint)
    let expected = expectedTensors.filter { $0.file == file }
    for tensor in expected { #expect(try tensor.difference(from: found[tensor.name]) == nil, "\(tensor)") }
    #expect(Set(found.keys) == Set(expected.map(\.name)))
  }

  @Test func allTypesAreThere() {
    #expect(expectedTensors.count >= 100)
    #expect(Set(expectedTensors.map(\.dtype)).count == 27)
  }

  @Test(arguments: ["types.onnx", "nested.onnx", "external.onnx", "parts.onnx", "odd.onnx"])
  func recognisedByContentAndSound(_ name: String) throws {
    #expect(try Format.input(fixture(name)).id == "onnx")
    let report = try ONNXFile.verify(fixture(name))
    #expect(report.isSound, "\(report.problems)")
  }

  @Test func initializersKeepTheFilesOrder() throws {
    let names = try root("nested.onnx").entries.map(\.key.text)
    #expect(names.prefix(4) == ["w", "texts", "s", "@0:Constant/value"])
  }

  @Test func whatAModelSaysOfItselfIsNoTensorsPath() throws {
    let model = try opened("nested.onnx")
    #expect(model.version == "IR 10, opset 21")
    #expect(model.producer == "fixtures 1")
    let dict = try root("nested.onnx")
    let facts = Record("facts", dict.attributes)
    guard case .int(10)? = facts["ir_version"], case .int(4)? = facts["model_version"],
      case .string("What it is")? = facts["doc_string"], case .string("org.example")? = facts["domain"],
      case .dict(let opsets)? = facts["opset_import"], case .int(21)? = opsets[""],
      case .dict(let metadata)? = facts["metadata_props"], case .string("1")? = metadata["a"]
    else { return #expect(Bool(false), "\(facts)") }
    #expect(metadata.count == 2)
  }

  @Test func textsAreAList() throws {
    guard case .sequence(.list, let items)? = try root("nested.onnx")["texts"] else { return #expect(Bool(false)) }
    let texts = items.map { if case .string(let text) = $0 { text } else { "?" } }
    #expect(texts == ["a", "ü", "", "d"])
  }

  @Test func sparseInitializersAreKept() throws {
    guard case .record(let record)? = try root("nested.onnx")["s"], case .size([2, 3])? = record["size"],
      case .tensor(let values)? = record["values"], case .tensor(let indices)? = record["indices"]
    else { return #expect(Bool(false)) }
    #expect(try values.elements(as: Float.self) == [1, 2])
    #expect(try indices.elements(as: Int64.self) == [1, 4])
  }

  @Test func rawBytesAndPackedFloatsStayInTheFile() throws {
    let dict = try root("types.onnx")
    for name in ["raw_FLOAT", "typed_FLOAT", "typed_DOUBLE", "raw_INT4", "typed_COMPLEX64"] {
      guard case .tensor(let tensor)? = dict[name] else { return #expect(Bool(false)) }
      #expect(tensor.source is MappedRange, "\(name)")
    }
  }

  @Test func externalFilesAreCounted() throws {
    let model = try MappedFile(fixture("parts.onnx")).count
    #expect(try opened("parts.onnx").bytes == model + 24 + 40 + 6)
    let report = try ONNXFile.verify(fixture("parts.onnx"))
    #expect(report.checked.contains("SHA-1 of ./parts/c.bin, parts/a.bin, parts/b.bin"), "\(report.checked)")
  }

  @Test func changedExternalDataAreFound() throws {
    let folder = TemporaryFolder()
    var bytes = try fileBytes(fixture("parts.onnx"))
    // Another digit of the first checksum.
    let at = try #require(bytes.indices.first { bytes[$0...].starts(with: "checksum".utf8) }) + 10
    bytes[at] = bytes[at] == 0x30 ? 0x31 : 0x30
    writeBytes(bytes, to: folder.file("m.onnx"))
    #expect(mkdir(folder.file("parts"), 0o700) == 0)
    for name in ["a", "b", "c"] {
      writeBytes(try fileBytes(fixture("parts/\(name).bin")), to: folder.file("parts/\(name).bin"))
    }
    let problems = try ONNXFile.verify(folder.file("m.onnx")).problems
    #expect(problems.map(\.place) == ["external data 'parts/a.bin'"])
    #expect(problems.first?.what.contains("SHA-1") == true)
  }

  @Test func aModelIsOnlyRead() {
    #expect(throws: CheckpointError.self) { try Format.output("a.onnx") }
  }
}
