import Testing

@testable import Training
@testable import ckpt_train

@Suite struct MetricsFileTests {
  let scratch = Scratch()
  private var path: String { scratch.path("metrics.csv") }

  private func row(_ step: Int, _ loss: Double = 0.5) -> Metrics.Row {
    Metrics.Row(step: step, epoch: Double(step) / 4, loss: loss, learningRate: 1e-3, gradNorm: 2, validationLoss: .nan)
  }

  private func lines() -> [String] { scratch.read("metrics.csv").split(separator: "\n").map(String.init) }

  private func steps() -> [String] { lines().dropFirst().map { String($0.prefix { $0 != "," }) } }

  @Test func rowsAreNumbersThatReadBack() throws {
    let file = try MetricsFile(path, step: 0, rows: [])
    try file.append(row(1, 0.1), samplesPerSecond: 1234.56)
    try file.append(row(2, 1.0 / 3), samplesPerSecond: 7)
    try file.flush()
    #expect(
      scratch.read("metrics.csv") == """
        step,epoch,loss,lr,grad_norm,val_loss,samples_per_second
        1,0.25,0.1,0.001,2.0,,1234.6
        2,0.5,0.3333333333333333,0.001,2.0,,7.0

        """)
  }

  @Test func aNewRunBeginsAnew() throws {
    _ = scratch.write("metrics.csv", Array("old\n".utf8))
    let file = try MetricsFile(path, step: 0, rows: [])
    try file.flush()
    #expect(lines() == [MetricsFile.header])
  }

  @Test func rowsAfterTheCheckpointAreCutOff() throws {
    let text = MetricsFile.header + "\n" + (1...6).map { "\($0),0,0.5,0.1,,,9.0\n" }.joined()
    _ = scratch.write("metrics.csv", Array(text.utf8))
    let file = try MetricsFile(path, step: 4, rows: (1...4).map { row($0) })
    try file.append(row(5), samplesPerSecond: 1)
    try file.flush()
    #expect(steps() == ["1", "2", "3", "4", "5"])
    #expect(lines()[4] == "4,0,0.5,0.1,,,9.0", "what the file had, the speed too, stays")
  }

  @Test(arguments: ["3,0.7", "3,0,0.5,0.1,,,9", "x,0,0.5,0.1,,,9\n", "2,0,0.5,0.1,,,9\n", "\u{0}\u{0}\n", "3\n", ""])
  func aTornOrForeignLastLineIsLeftOut(end: String) throws {
    let text = MetricsFile.header + "\n1,0,0.5,0.1,,,9.0\n2,0,0.5,0.1,,,9.0\n" + end
    _ = scratch.write("metrics.csv", Array(text.utf8))
    let file = try MetricsFile(path, step: 10, rows: [])
    try file.append(row(11), samplesPerSecond: 1)
    try file.flush()
    #expect(steps() == ["1", "2", "11"])
  }

  @Test func whatACrashTookIsPutBackFromTheCheckpoint() throws {
    _ = scratch.write("metrics.csv", Array((MetricsFile.header + "\n1,0,0.5,0.1,,,9.0\n").utf8))
    let file = try MetricsFile(path, step: 3, rows: [row(1), row(2), row(3), row(4)])
    try file.flush()
    #expect(lines().dropFirst() == ["1,0,0.5,0.1,,,9.0", "2,0.5,0.5,0.001,2.0,,", "3,0.75,0.5,0.001,2.0,,"])
  }

  @Test func aMissingFileIsMadeFromTheCheckpoint() throws {
    let file = try MetricsFile(path, step: 2, rows: [row(1), row(2)])
    try file.flush()
    #expect(steps() == ["1", "2"])
  }

  @Test func aFolderThatIsNotThereIsTold() {
    #expect { try MetricsFile("/no/such/metrics.csv", step: 0, rows: []) } throws: {
      "\($0)".contains("cannot be created")
    }
  }
}
