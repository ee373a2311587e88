import Checkpoint
import Testing

@testable import Training

@Suite struct DatasetTests {
  private static func example(_ name: String) -> String {
    "/\("\(#filePath)".split(separator: "/").dropLast(3).joined(separator: "/"))/fixtures/examples/\(name)"
  }

  @Test func columnsOfACSVFile() throws {
    let data = try CSVDataset(Self.example("linear.csv"), targets: ["y"])
    #expect(data.count == 256)
    let batch = try data.batch([0])
    #expect(
      batch.inputs.values == [0.4166, 1.0817, 0.6785, -0.4232, 1.7688, 1.8046, -0.0069, -0.0071, -0.9370, 0.3908])
    #expect(batch.targets.values == [3.8997])
  }

  @Test func aColumnThatIsNotThereIsNamed() {
    let error = #expect(throws: CheckpointError.self) {
      _ = try CSVDataset(Self.example("linear.csv"), targets: ["z"])
    }
    #expect(error?.code == .usage)
    #expect(error.map { "\($0)".contains("z") } == true)
  }

  @Test func digitsHaveTheirShapesAndLabels() throws {
    let data = try ArrayDataset(file: Self.example("digits-train.npz"), inputs: "x", targets: "y")
    #expect(data.count == 1437)
    #expect(data.inputInfo?.shape == [1, 8, 8])
    #expect(data.targetInfo?.range == 0...9)
    let batch = try data.batch([1436, 0])
    #expect(batch.inputs.shape == [2, 1, 8, 8])
    #expect(batch.inputs.values.allSatisfy { 0...1 ~= $0 })
    #expect(throws: CheckpointError.self) { try data.checkLabels(classes: 9) }
    #expect(throws: Never.self) { try data.checkLabels(classes: 10) }
  }

  @Test func targetsOfATokenFileAreTheNextTokens() throws {
    let data = try TokenDataset(Self.example("tokens.bin"), context: 16)
    let batch = try data.batch([3, 0])
    #expect(batch.inputs.shape == [2, 16])
    let (inputs, targets) = (batch.inputs.values, batch.targets.values)
    #expect(Array(inputs[1..<16]) == Array(targets[0..<15]))
    #expect(data.vocabularySize == 78)
  }
}
