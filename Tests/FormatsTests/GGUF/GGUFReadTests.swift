import Checkpoint
import Testing

@testable import CheckpointFormats

/// The reader against files of the package gguf, whose content is in `kv.tsv` and `tensors.tsv`.
@Suite struct GGUFReadTests {
  static func lines(_ file: String) throws -> [[String]] {
    String(decoding: try fileBytes("\(fixtureFolder)/gguf/\(file)"), as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
  }

  private static func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func double(_ number: Double) -> String {
    let text = String(number.bitPattern, radix: 16)
    return String(repeating: "0", count: 16 - text.utf8.count) + text
  }

  /// A value as the fixtures' script writes it.
  private static func shown(_ value: Value) throws -> String {
    switch value {
    case .int(let x): return String(x)
    case .bigInt(let x): return x.description
    case .double(let x): return double(x)
    case .bool(let x): return String(x)
    case .string(let x): return "\"\(hex(x.utf8))\""
    case .bytes(let x): return "\"\(hex(x))\""
    case .sequence(.list, let items): return "[" + (try items.map(shown)).joined(separator: " ") + "]"
    case .tensor(let tensor): return "[" + (try numbers(tensor)).joined(separator: " ") + "]"
    default: return "?"
    }
  }

  private static func numbers(_ tensor: Tensor) throws -> [String] {
    switch tensor.dtype {
    case .uint8: try tensor.elements(as: UInt8.self).map { "\($0)" }
    case .int8: try tensor.elements(as: Int8.self).map { "\($0)" }
    case .uint16: try tensor.elements(as: UInt16.self).map { "\($0)" }
    case .int16: try tensor.elements(as: Int16.self).map { "\($0)" }
    case .uint32: try tensor.elements(as: UInt32.self).map { "\($0)" }
    case .int32: try tensor.elements(as: Int32.self).map { "\($0)" }
    case .uint64: try tensor.elements(as: UInt64.self).map { "\($0)" }
    case .int64: try tensor.elements(as: Int64.self).map { "\($0)" }
    case .float32: try tensor.elements(as: Float.self).map { double(Double($0)) }
    case .float64: try tensor.elements(as: Double.self).map { double($0) }
    case .bool: try tensor.elements(as: UInt8.self).map { $0 == 1 ? "true" : "false" }
    default: ["?"]
    }
  }

  @Test(arguments: ["types", "version2"]) func allTypesOfMetadataAreRead(file: String) throws {
    let metadata = try #require(halves(try GGUFFile.read(ggufFixture(file)))?.metadata)
    let expected = try Self.lines("kv.tsv")
    #expect(expected.count > 40)
    #expect(metadata.entries.map(\.key) == expected.map { .string($0[0]) })
    for (entry, line) in zip(metadata.entries, expected) {
      #expect(try Self.shown(entry.value) == line[2], "\(line[0])")
    }
  }

  @Test func theWidthsOfNumbersAreAnAttribute() throws {
    let metadata = try #require(halves(try GGUFFile.read(ggufFixture("types")))?.metadata)
    guard case .dict(let types)? = metadata.attributes.first?.value else { return #expect(Bool(false)) }
    #expect(metadata.attributes.map(\.name) == ["types"])
    let scalars = try Self.lines("kv.tsv").filter { !["str", "bool"].contains($0[1]) && !$0[2].hasPrefix("[") }
    #expect(types.entries.map(\.key) == scalars.map { .string($0[0]) })
    for line in scalars {
      guard case .string(line[1])? = types[line[0]] else { return #expect(Bool(false), "\(line)") }
    }
  }

  @Test func arraysOfNumbersStayInTheFile() throws {
    let metadata = try #require(halves(try GGUFFile.read(ggufFixture("types")))?.metadata)
    guard case .tensor(let tensor)? = metadata["many.f32"] else { return #expect(Bool(false)) }
    #expect(tensor.source is MappedRange)
    #expect(tensor.shape == [300])
  }

  @Test func plainTensorsAreRead() throws {
    let lines = try Self.lines("tensors.tsv")
    #expect(lines.count >= 18)
    for line in lines {
      let file = line[0] == "set" ? "set-00002-of-00003" : String(line[0].dropLast(5))
      let tensors = try #require(halves(try GGUFFile.read(ggufFixture(file)))?.tensors)
      guard case .tensor(let tensor)? = tensors[line[1]] else { return #expect(Bool(false), "\(line[1])") }
      #expect(tensor.dtype.rawValue == line[2])
      #expect(tensor.shape == line[3].split(separator: ",").compactMap { Int($0) }, "\(line[1])")
      var bytes: [UInt8] = []
      try tensor.source.withBytes { bytes = Array($0) }
      #expect(Self.hex(bytes) == line[4], "\(line[1])")
      #expect(tensor.source is MappedRange)
    }
  }

  @Test func theVersionIsTold() throws {
    #expect(try Format.gguf.read(ggufFixture("types"), .init()).version == "3")
    #expect(try Format.gguf.read(ggufFixture("version2"), .init()).version == "2")
  }

  @Test func aVocabularyHasNoTensorsAndNoWarnings() throws {
    let checkpoint = try GGUFFile.read(ggufFixture("vocabulary"))
    #expect(halves(checkpoint)?.tensors.count == 0)
    #expect(checkpoint.warnings.isEmpty)
  }

  @Test func emptyArraysKeepTheirTypes() throws {
    var builder = GGUFBuilder()
    builder.pairs.append(("strings", 9, GGUFBuilder.array(8, [])))
    builder.pairs.append(("arrays", 9, GGUFBuilder.array(9, [])))
    builder.pairs.append(("numbers", 9, GGUFBuilder.array(3, [])))
    let metadata = try #require(halves(try builder.read())?.metadata)
    guard case .sequence(.list, let strings)? = metadata["strings"],
      case .sequence(.tuple, let arrays)? = metadata["arrays"],
      case .tensor(let numbers)? = metadata["numbers"]
    else { return #expect(Bool(false)) }
    #expect(strings.isEmpty && arrays.isEmpty && numbers.shape == [0] && numbers.dtype == .int16)
  }

  @Test func formatsAreToldByContent() throws {
    #expect(try Format.input(ggufFixture("types")).id == "gguf")
    #expect(try Format.input("\(fixtureFolder)/gguf").id == "gguf")
    #expect(try Format.gguf.verify(ggufFixture("types")).isSound)
    #expect(try Format.gguf.verify(ggufFixture("types")).warnings == ["GGUF files record no checksums"])
  }
}
