import CommandSupport
import Testing

@testable import ckpt_train

@Suite struct ViewTests {
  private let line = ProgressLine(
    step: 1200, target: 5000, epoch: 3.205, loss: 0.234_123, validationLoss: 0.25, learningRate: 0.001,
    samplesPerSecond: 12_345, secondsLeft: 250)

  @Test func liveLine() {
    var curve = Sparkline()
    for value in [4.0, 3, 2, 1] { curve.add(value) }
    #expect(
      line.live(width: 100, curve: curve)
        == "step 1,200/5,000  loss 0.2341 █▆▃▁  val_loss 0.25  lr 0.001  12,300 samples/s  4 min 10 s left")
    #expect(line.live(width: 24, curve: curve) == "step 1,200/5,000")
  }

  @Test(arguments: 1...120) func liveLineNeverWraps(width: Int) {
    var curve = Sparkline()
    for value in 0..<500 { curve.add(Double(value)) }
    let text = line.live(width: width, curve: curve)
    #expect(columns(text) < max(width, 2), "\(text)")
  }

  @Test func plainLine() {
    #expect(
      line.plain == "step 1200/5000  epoch 3.21  loss 0.23412  val_loss 0.25  lr 0.001  12,300 samples/s")
  }

  @Test func curveShowsTheWholeRun() {
    var curve = Sparkline()
    for value in 0..<10_000 { curve.add(Double(value)) }
    #expect(curve.points.count <= Sparkline.capacity)
    #expect(curve.text(width: 8) == "▁▂▃▄▅▆▇█")
    #expect(curve.text(width: 5, blocks: Sparkline.plainBlocks) == "_.-=^")
    #expect(curve.text(width: 0).isEmpty)
  }

  @Test func curveOfFewOrEqualOrOddValues() {
    var curve = Sparkline()
    #expect(curve.text(width: 8).isEmpty)
    curve.add(.nan)
    curve.add(1)
    curve.add(.infinity)
    #expect(curve.text(width: 8).isEmpty)
    curve.add(1)
    #expect(curve.text(width: 8) == "▁▁")
  }

  @Test func durations() {
    let texts = [0, 0.4, 59.6, 61, 3600, 4320, 90_000, .infinity].map(duration)
    #expect(texts == ["0 s", "0 s", "1 min", "1 min 1 s", "1 h", "1 h 12 min", "1 d 1 h", "?"])
  }

  @Test func fixedPoint() {
    #expect([0, 1.005, 2.5, -0.004, -1.25].map { fixed($0, places: 2) } == ["0.00", "1.00", "2.50", "0.00", "-1.25"])
  }
}

@Suite struct SuggestionTests {
  @Test(arguments: [
    ("weight_decy", "weight_decay"), ("wieght_decay", "weight_decay"), ("LR", "lr"), ("betas", "betas"),
    ("beta", "betas"),
    ("weightdecay", "weight_decay"),
  ])
  func nearWordsAreFound(word: String, meant: String) {
    #expect(Suggestion.nearest(to: word, in: ["lr", "betas", "eps", "weight_decay", "amsgrad"]) == meant)
  }

  @Test(arguments: ["", "momentum", "x"]) func farWordsAreNot(word: String) {
    #expect(Suggestion.nearest(to: word, in: ["betas", "weight_decay", "amsgrad"]) == nil)
  }
}
