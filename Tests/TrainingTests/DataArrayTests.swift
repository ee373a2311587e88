import Checkpoint
import Testing

@testable import Training

/// One set of 7 samples in every container; sample i has x = [10i, 10i+1, 10i+2].
@Suite struct DataArrayTests {
  private static let files = ["set.npz", "set_deflated.npz", "set.safetensors", "set.h5", "set.pt"]

  @Test(arguments: files, ["x", "doubles", "halves"])
  func floatsBecomeFloat32(_ file: String, _ name: String) throws {
    let set = try ArrayDataset(file: dataFixture(file), inputs: name, targets: "labels")
    #expect(set.count == 7)
    #expect(set.inputInfo == SampleInfo(shape: [3], dtype: .float32))
    #expect(set.targetInfo == SampleInfo(shape: [], dtype: .int64, range: 0...2))
    let batch = try set.batch([6, 0, 3, 3])
    #expect(batch.samples == 4)
    #expect(batch.inputs.shape == [4, 3])
    #expect(floats(batch.inputs) == [60, 61, 62, 0, 1, 2, 30, 31, 32, 30, 31, 32])
    #expect(batch.targets.shape == [4])
    #expect(integers(batch.targets) == [0, 0, 0, 0])
    #expect(integers(try set.batch([1, 2]).targets) == [1, 2])
  }

  @Test(arguments: ["set.npz", "set_deflated.npz", "set.h5"], ["fortran", "big"])
  func otherOrdersAreStraightened(_ file: String, _ name: String) throws {
    let set = try ArrayDataset(file: dataFixture(file), inputs: name, targets: "labels")
    #expect(floats(try set.batch([5, 1]).inputs) == [50, 51, 52, 10, 11, 12])
  }

  @Test(arguments: files) func imagesOfBytesBecomeFloat32(_ file: String) throws {
    let set = try ArrayDataset(file: dataFixture(file), inputs: "images", targets: "small")
    #expect(set.inputInfo == SampleInfo(shape: [1, 2, 2], dtype: .float32))
    let batch = try set.batch([4, 2])
    #expect(batch.inputs.shape == [2, 1, 2, 2])
    #expect(floats(batch.inputs) == [4, 4, 4, 4, 2, 2, 2, 2])
    #expect(integers(batch.targets) == [1, 2])
  }

  @Test(arguments: files) func integersAreTokens(_ file: String) throws {
    let set = try ArrayDataset(file: dataFixture(file), inputs: "tokens", targets: "y")
    #expect(set.inputInfo == SampleInfo(shape: [2], dtype: .int64, range: 0...13))
    #expect(set.targetInfo == SampleInfo(shape: [1], dtype: .float32))
    #expect(integers(try set.batch([6]).inputs) == [12, 13])
    #expect(floats(try set.batch([6]).targets) == [30])
    let error = #expect(throws: CheckpointError.self) { try set.checkTokens(vocabulary: 12) }
    #expect(error?.message == "tokens must be in 0..<12; row 6 has 12")
    try set.checkTokens(vocabulary: 14)
  }

  @Test func targetsAreWhatTheLossWants() throws {
    let path = dataFixture("set.npz")
    let whole = try ArrayDataset(file: path, inputs: "x", targets: "whole", kind: .labels)
    #expect(whole.targetInfo == SampleInfo(shape: [], dtype: .int64, range: 0...2))
    #expect(integers(try whole.batch([5]).targets) == [2])
    let numbers = try ArrayDataset(file: path, inputs: "x", targets: "labels", kind: .numbers)
    #expect(numbers.targetInfo == SampleInfo(shape: [], dtype: .float32))
    #expect(floats(try numbers.batch([5]).targets) == [2])
    let error = #expect(throws: CheckpointError.self) {
      let halves: [Float] = [0, 1.5]
      _ = try ArrayDataset(
        inputs: tensor(halves, .float32, [2]), targets: tensor(halves, .float32, [2]), kind: .labels)
    }
    #expect(error?.description.contains("array 'targets', row 1: 1.5, where a label (an integer) is due") == true)
  }

  @Test func anArrayAFile() throws {
    let set = try ArrayDataset(inputsFile: dataFixture("set_x.npy"), targetsFile: dataFixture("set_labels.npy"))
    #expect(floats(try set.batch([2]).inputs) == [20, 21, 22])
    #expect(integers(try set.batch([2]).targets) == [2])
  }

  @Test func labelsOutOfRangeNameTheirRow() throws {
    let x: [Float] = [1, 2, 3, 4]
    let y: [Int64] = [0, 3, -100, 4]
    let set = try ArrayDataset(inputs: tensor(x, .float32, [4]), targets: tensor(y, .int64, [4]), file: "a.npz")
    #expect(set.targetInfo?.range == -100...4)
    try set.checkLabels(classes: 5)
    let error = #expect(throws: CheckpointError.self) { try set.checkLabels(classes: 3) }
    #expect(error?.description.hasPrefix("a.npz: array 'targets': labels must be in 0..<3; row 1 has 3\n") == true)
    let strict = #expect(throws: CheckpointError.self) { try set.checkLabels(classes: 5, ignoring: nil) }
    #expect(strict?.message == "labels must be in 0..<5; row 2 has -100")
    let numbers = try ArrayDataset(inputs: tensor(x, .float32, [4]), targets: tensor(x, .float32, [4]))
    #expect(throws: CheckpointError.self) { try numbers.checkLabels(classes: 5) }
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity, 1e300])
  func whatCannotBeTrainedOnNamesItsRow(_ bad: Double) throws {
    var x = [Double](repeating: 1, count: 30_000)
    x[25_001] = bad
    let inputs = try tensor(x, .float64, [10_000, 3])
    let labels = try tensor([Int64](repeating: 0, count: 10_000), .int64, [10_000])
    let error = #expect(throws: CheckpointError.self) {
      _ = try ArrayDataset(inputs: inputs, targets: labels, names: ("x", "y"), file: "a.npz")
    }
    let what = bad.isNaN ? "not a number (NaN)" : bad.isFinite ? "1e+300 does not fit float32" : "an infinity"
    #expect(error?.description.hasPrefix("a.npz: array 'x', row 8333: \(what)") == true, "\(String(describing: error))")
  }

  @Test func nansOfEveryFloatTypeAreFound() throws {
    let labels = try tensor([Int64](repeating: 0, count: 2), .int64, [2])
    let bad: [(DType, [UInt16])] = [(.float16, [0, 0x7E00]), (.bfloat16, [0, 0x7F80])]
    for (dtype, words) in bad {
      let error = #expect(throws: CheckpointError.self) {
        _ = try ArrayDataset(inputs: tensor(words, dtype, [2]), targets: labels)
      }
      #expect(error?.place?.hasSuffix("row 1") == true)
    }
    let float: [Float] = [0, .nan]
    #expect(throws: CheckpointError.self) {
      _ = try ArrayDataset(inputs: tensor(float, .float32, [2]), targets: labels)
    }
  }

  @Test func integersThatFloat32CannotHoldAreTold() throws {
    let y: [Int64] = [16_777_216, 16_777_217]
    let error = #expect(throws: CheckpointError.self) {
      _ = try ArrayDataset(inputs: tensor(y, .int64, [2]), targets: tensor(y, .int64, [2]), kind: .numbers)
    }
    #expect(error?.message == "16777217 does not fit float32, which training computes with")
    let wide: [UInt64] = [1, .max]
    let second = #expect(throws: CheckpointError.self) {
      _ = try ArrayDataset(inputs: tensor(wide, .uint64, [2]), targets: tensor(y, .int64, [2]))
    }
    #expect(second?.message.hasPrefix("18446744073709551615, where a label") == true)
  }

  @Test func arraysMustFitEachOther() throws {
    let error = #expect(throws: CheckpointError.self) {
      _ = try ArrayDataset(
        inputs: tensor([Float](repeating: 0, count: 6), .float32, [3, 2]),
        targets: tensor([Int64](repeating: 0, count: 2), .int64, [2]))
    }
    #expect(error?.message == "2 samples (shape [2]), where the inputs have 3 (shape [3, 2])")
    for shape in [[0], [3, 0], []] {
      let count = shape.reduce(1, *)
      #expect(throws: CheckpointError.self, "\(shape)") {
        let array = try tensor([Float](repeating: 0, count: count), .float32, shape)
        _ = try ArrayDataset(inputs: array, targets: array)
      }
    }
    #expect(throws: CheckpointError.self) {
      let complex = try tensor([Float](repeating: 0, count: 4), .complex64, [2])
      _ = try ArrayDataset(inputs: complex, targets: complex)
    }
  }

  @Test func samplesThatAreNotThereAreRefused() throws {
    let set = try ArrayDataset(file: dataFixture("set.npz"), inputs: "x", targets: "labels")
    for wrong in [-1, 7, Int.max, Int.min] {
      let error = #expect(throws: CheckpointError.self) { _ = try set.batch([0, wrong]) }
      #expect(error?.message == "there is no sample \(wrong); there are 7")
    }
    #expect(try set.batch([]).samples == 0)
  }

  @Test func unknownNamesGetSuggestions() throws {
    let error = #expect(throws: CheckpointError.self) {
      _ = try ArrayDataset(file: dataFixture("set.npz"), inputs: "x", targets: "lables")
    }
    #expect(error?.code == .usage)
    #expect(error?.message == "there is no array 'lables'")
    #expect(error?.advice?.hasPrefix("Did you mean 'labels'? The arrays are x, doubles, ") == true)
    let text = #expect(throws: CheckpointError.self) {
      _ = try ArrayFile(dataFixture("plain.h5")).tensor("table")
    }
    #expect(text?.code == .unsupported)
    #expect(try ArrayFile(dataFixture("plain.h5")).tensor("group/deep/y").shape == [5, 1])
    #expect(throws: CheckpointError.self) { _ = try ArrayFile(dataFixture("set.npz")).tensor(nil) }
  }

  @Test(arguments: ["", "no array", "/"])
  func otherFilesAreRefused(_ content: String) throws {
    let file = try DataFile("x.npz", content)
    let path = content == "/" ? "/tmp" : file.path
    let error = #expect(throws: CheckpointError.self) { _ = try ArrayFile(path) }
    #expect(error?.code == .unsupported)
    #expect(error?.file == path)
    let missing = #expect(throws: CheckpointError.self) { _ = try ArrayFile("/no/such/file.npz") }
    #expect(missing?.code == .missing)
  }

  /// Beyond 64 MiB nothing is converted ahead.
  @Test func largeArraysAreConvertedBatchByBatch() throws {
    let count = 33_000
    var x = [UInt8](repeating: 3, count: count * 512)
    x[count * 512 - 1] = 9
    let inputs = try tensor(x, .uint8, [count, 512])
    let labels = try tensor([UInt8](repeating: 1, count: count), .uint8, [count])
    let set = try ArrayDataset(inputs: inputs, targets: labels)
    let values = floats(try set.batch([count - 1, 0]).inputs)
    #expect(values[511] == 9 && values[510] == 3 && values[512] == 3 && values.count == 1024)
  }

  /// Short rows and long ones are copied in different ways.
  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33, 100, 1100])
  func rowsOfEveryWidth(_ width: Int) throws {
    let labels = try tensor([Int32](0..<9), .int32, [9])
    let x = (0..<(9 * width)).map { Float($0) }
    let bytes = (0..<(9 * width)).map { UInt8(truncatingIfNeeded: $0) }
    let tokens = (0..<(9 * width)).map { Int64($0) }
    let samples = [8, 0, 4, 4, 7]
    func expected<Item>(_ all: [Item]) -> [Item] { samples.flatMap { all[($0 * width)..<(($0 + 1) * width)] } }
    let set = try ArrayDataset(inputs: tensor(x, .float32, [9, width]), targets: labels)
    #expect(floats(try set.batch(samples).inputs) == expected(x))
    let images = try ArrayDataset(inputs: tensor(bytes, .uint8, [9, width]), targets: labels)
    #expect(floats(try images.batch(samples).inputs) == expected(bytes.map { Float($0) }))
    let texts = try ArrayDataset(inputs: tensor(tokens, .int64, [9, width]), targets: labels)
    #expect(integers(try texts.batch(samples).inputs) == expected(tokens.map { Int($0) }))
    #expect(integers(try texts.batch(samples).targets) == samples)
  }

  @Test func theDigitsAreThere() throws {
    for (name, count) in [("digits-train.npz", 1437), ("digits-test.npz", 360)] {
      let set = try ArrayDataset(file: exampleFixture(name), inputs: "x", targets: "y")
      #expect(set.count == count)
      #expect(set.inputInfo == SampleInfo(shape: [1, 8, 8], dtype: .float32))
      #expect(set.targetInfo == SampleInfo(shape: [], dtype: .int64, range: 0...9))
      try set.checkLabels(classes: 10)
    }
  }
}
