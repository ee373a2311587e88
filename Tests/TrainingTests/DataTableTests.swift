import Checkpoint
import Testing

@testable import Training

@Suite struct DataTableTests {
  private func set(
    _ text: String, _ inputs: [String]? = nil, _ targets: [String] = ["y"], kind: TargetKind = .numbers
  ) throws -> CSVDataset {
    let file = try DataFile("x.csv", text)
    return try CSVDataset(file.path, inputs: inputs, targets: targets, kind: kind)
  }

  @Test func columnsAreTakenByName() throws {
    let table = try set("a,y,b\n1,2,3\n4,5,6\n", ["b", "a"])
    #expect(table.count == 2)
    #expect(table.inputInfo == SampleInfo(shape: [2], dtype: .float32))
    #expect(table.targetInfo == SampleInfo(shape: [1], dtype: .float32))
    let batch = try table.batch([1, 0])
    #expect(floats(batch.inputs) == [6, 4, 3, 1])
    #expect(batch.targets.shape == [2, 1])
    #expect(floats(batch.targets) == [5, 2])
  }

  @Test func allButTheTargetsAreInputsByDefault() throws {
    #expect(try set("a,y,b\n1,2,3\n").inputColumns == ["a", "b"])
  }

  @Test func labelsAreIntegers() throws {
    let table = try set("a,y\n1,2\n3,0\n5,1e1\n", kind: .labels)
    #expect(table.targetInfo == SampleInfo(shape: [], dtype: .int64, range: 0...10))
    #expect(integers(try table.batch([2, 0]).targets) == [10, 2])
    let error = #expect(throws: CheckpointError.self) { try table.checkLabels(classes: 3) }
    #expect(error?.message == "labels must be in 0..<3; row 2 has 10")
  }

  /// Quotes, CRLF, a BOM, spaces, empty lines at the end, no line end at all.
  @Test(arguments: [
    "\u{FEFF}\"a\",y\r\n\"1.5\",2\r\n-3e0,4\r\n",
    "a , y\n 1.5,\t2\n-3 , 4\n\n\r\n  \n",
    "a,y\n+1.5,2.\n-3.0,0.4e1",
    "\"a\",y\r1.5,2\r-3,4\r",
    "a,\"note, of \"\"this\"\"\nand that\",y\n1.5,\"x\n\n,\",2\n-3,,4\n",
  ])
  func spellingsOfOneTable(_ text: String) throws {
    let table = try set(text, ["a"])
    let batch = try table.batch([0, 1])
    #expect(floats(batch.inputs) == [1.5, -3])
    #expect(floats(batch.targets) == [2, 4])
  }

  @Test func quotesInNamesAreUndoubled() throws {
    #expect(try set("\"say \"\"a\"\"\",y\n1,2\n").inputColumns == ["say \"a\""])
  }

  @Test func numbersAreRoundedAsNumPyDoes() throws {
    let table = try set("a,y\n0.1,16777217\n1e-45,3.4028235e38\n")
    let batch = try table.batch([0, 1])
    #expect(floats(batch.inputs) == [0.1, .leastNonzeroMagnitude])
    #expect(floats(batch.targets) == [16_777_216, .greatestFiniteMagnitude])
  }

  @Test(arguments: [
    ("", "the file is empty"),
    ("\u{FEFF}", "the file is empty"),
    ("a,y\n", "a header and no rows"),
    ("a,y\n\n\n", "a header and no rows"),
    ("a,y\n1,2\n3\n", "line 3: 1 fields, where the header has 2"),
    ("a,y\n1,2,3\n", "line 2: 3 fields, where the header has 2"),
    ("a,y\n1,2\n\n3,4\n", "line 3: the line is empty"),
    ("a,y\n1,two\n", "line 2, column 'y': 'two', where a number is due"),
    ("a,y\n1,0x10\n", "line 2, column 'y': '0x10', where a number is due"),
    ("a,y\n1,1 2\n", "line 2, column 'y': '1 2', where a number is due"),
    ("a,y\n1,1_000\n", "line 2, column 'y': '1_000', where a number is due"),
    ("a,y\n1,-\n", "line 2, column 'y': '-', where a number is due"),
    ("a,y\n,2\n", "line 2, column 'a': nothing, where a number is due"),
    ("a,y\n1,NaN\n", "line 2, column 'y': not a number (NaN)"),
    ("a,y\n1,nan(1)\n", "line 2, column 'y': 'nan(1)', where a number is due"),
    ("a,y\n-inf,2\n", "line 2, column 'a': an infinity"),
    ("a,y\n1,1e39\n", "line 2, column 'y': 1e+39 does not fit float32"),
    ("a,y\n\"1\"x,2\n", "line 2: text after a closing quote"),
    ("a,y\n1,\"2\n3,4\n", "line 2: a quote is opened and never closed"),
    ("\"a\n\n\",y\n\"1\",2\n3,x\n", "line 5, column 'y': 'x', where a number is due"),
    ("a,b\n1,2\n", "line 1: there is no column 'y'"),
    ("y,y\n1,2\n", "line 1: the column 'y' comes 2 times"),
    ("y\n1\n", "no input column is named, and none is left"),
    ("\u{0}a,y\n", "a header and no rows"),
  ])
  func whatIsWrongIsSaidWithItsPlace(_ text: String, _ message: String) throws {
    let error = #expect(throws: CheckpointError.self) { _ = try set(text) }
    #expect(error?.description.contains(": \(message)") == true, "\(String(describing: error))")
    #expect(error?.file?.hasSuffix("x.csv") == true)
  }

  @Test func labelsMustBeWhole() throws {
    for wrong in ["1.5", "1e300", "9007199254740993e3", "nan"] {
      let error = #expect(throws: CheckpointError.self) { _ = try set("a,y\n1,\(wrong)\n", kind: .labels) }
      #expect(error?.description.contains("line 2, column 'y'") == true)
    }
  }

  @Test func unknownColumnsGetSuggestions() throws {
    let error = #expect(throws: CheckpointError.self) { _ = try set("price,area,y\n1,2,3\n", ["aera"]) }
    #expect(error?.code == .usage)
    #expect(error?.advice == "Did you mean 'area'? The columns are price, area, y.")
  }

  @Test func sixteenBitTextIsToldApart() throws {
    let file = try DataFile("x.csv", [0xFF, 0xFE, 0x61, 0])
    let error = #expect(throws: CheckpointError.self) { _ = try CSVDataset(file.path, targets: ["y"]) }
    #expect(error?.message == "is UTF-16 text")
  }

  @Test func flippedBytesNeverCrash() throws {
    var random = Steps(state: 5)
    let text = Array("a,\"b\"\"\",y\r\n1,\"2\",3\r\n-4e5,\"5\n\",6\n".utf8)
    for _ in 0..<300 {
      var bytes = text
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let file = try DataFile("x.csv", bytes)
      _ = try? CSVDataset(file.path, targets: ["y"])
    }
  }

  @Test func theExampleIsThere() throws {
    let table = try CSVDataset(exampleFixture("linear.csv"), targets: ["y"])
    #expect(table.count == 256)
    #expect(table.inputColumns == (0..<10).map { "x\($0)" })
    #expect(floats(try table.batch([0]).targets) == [3.8997])
  }
}
