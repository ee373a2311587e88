import Checkpoint
import Testing

@testable import CheckpointFormats

private func fixture(_ name: String) -> String { "\(fixtureFolder)/numpy/\(name)" }

private let expectedArrays = ExpectedArray.lines("../numpy/arrays.tsv").map { fields in
  ExpectedArray(
    file: fields[0], name: fields[1], dtype: fields[2], shape: fields[3].split(separator: ",").compactMap { Int($0) },
    hex: fields[4])
}

/// Types that NumPy lacks, and what no tensor holds.
@Suite struct NumPyArchiveTests {
  @Test(arguments: Set(expectedArrays.map(\.file)).sorted())
  func arraysAreWhatNumPySays(_ file: String) throws {
    let checkpoint = try NumPyFile.read(fixture(file))
    let found = tensors(in: file, checkpoint)
    let expected = expectedArrays.filter { $0.file == file }
    for array in expected { #expect(try array.difference(from: found[array.name]) == nil, "\(array)") }
    #expect(found.count == expected.count)
  }

  @Test func thereAreEnough() { #expect(expectedArrays.count >= 24) }

  @Test func whatDoesNotSayWhatItIsIsToldOf() throws {
    let warnings = try NumPyFile.read(fixture("ml_dtypes.npz")).warnings
    #expect(warnings.count == 3)
    #expect(warnings[0].contains("half: ") && warnings[0].contains("bits16"), "\(warnings)")
  }

  @Test func textTimesAndTablesAreLeftOutByName() throws {
    let warnings = try NumPyFile.read(fixture("mixed.npz")).warnings
    let names = ["text", "octets", "raw", "when", "span", "table", "one", "narrow", "floats"]
    #expect(warnings.count == names.count)
    for (name, warning) in zip(names, warnings) {
      #expect(warning.hasPrefix("\(name): ") && warning.hasSuffix("it is left out"), "\(warning)")
    }
  }

  @Test(arguments: [("long_double.npz", "np.float64"), ("objects.npz", "never run")])
  func whatCannotBeReadIsRefusedWithAdvice(_ file: String, _ words: String) {
    let error = #expect(throws: CheckpointError.self) { try NumPyFile.read(fixture(file)) }
    #expect(error?.code == .unsupported)
    #expect(error?.place?.contains("record x.npy") == true)
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
  }

  @Test func recognisedByContent() throws {
    for name in ["carried.npz", "carried_orders.npz", "with_text.npz", "objects.npz"] {
      #expect(try Format.input(fixture(name)).id == "npz")
    }
    #expect(try Format.input(fixture("bfloat16.npy")).id == "npy")
    #expect(throws: CheckpointError.self) { try Format.input(fixture("empty.npz")) }
    let empty = try Format.input(fixture("empty.npz"), kind: .npz)
    guard case .dict(let dict) = try empty.read(fixture("empty.npz"), Format.ReadOptions()).checkpoint.root else {
      return #expect(Bool(false))
    }
    #expect(dict.entries.isEmpty)
  }

  @Test(arguments: ["carried.npz", "carried_orders.npz", "mixed.npz", "bfloat16.npy", "with_text.npz"])
  func soundFilesAreSound(_ name: String) throws {
    let report = try Format.input(fixture(name)).verify(fixture(name))
    #expect(report.isSound)
    #expect(!report.checked.isEmpty)
  }

  @Test func verifyNamesTheDamagedRecord() throws {
    var bytes = try fileBytes(fixture("carried.npz"))
    let data = try #require(bytes.indices.first { bytes[$0...].starts(with: [0x01, 0x26, 0x4B, 0x70]) })
    bytes[data] ^= 1
    let file = try ScratchFile("damaged.npz", bytes)
    let report = try NumPyFile.verify(file.path)
    #expect(report.problems.map(\.place) == ["record float8_e4m3fn.npy"])
    var options = Format.ReadOptions()
    #expect(throws: CheckpointError.self) { try touchAll(Format.npz.read(file.path, options).checkpoint.root) }
    options.verifies = false
    #expect(throws: Never.self) { try touchAll(Format.npz.read(file.path, options).checkpoint.root) }
  }

  @Test(arguments: ["carried.npz", "mixed.npz", "carried_orders.npz"])
  func everyTruncationIsAProblem(_ name: String) throws {
    let whole = try fileBytes(fixture(name))
    let file = try ScratchFile("cut.npz")
    for length in stride(from: 1, to: whole.count, by: 13) {
      try file.write(Array(whole[..<length]))
      #expect(try !NumPyFile.verify(file.path).isSound, "\(length)")
    }
  }
}
