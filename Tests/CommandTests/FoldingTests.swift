import Checkpoint
import Testing

@testable import ckpt

@Suite struct FoldingTests {
  private func row(_ name: String, _ shape: [Int] = [4], _ note: String = "") -> FoldedRow {
    FoldedRow(name: name, dtype: .float32, shape: shape, bytes: 16, count: 1, note: note)
  }

  private func fold(_ rows: [FoldedRow]) -> [String] {
    Folding.fold(rows).map { $0.count > 1 ? "\($0.name) x\($0.count)" : $0.name }
  }

  @Test func layersFoldAndTheRestKeepsItsPlace() {
    let layers = (0..<12).flatMap { [row("h.\($0).a.weight"), row("h.\($0).a.bias", [2])] }
    #expect(
      fold([row("wte")] + layers + [row("head")])
        == ["wte", "h.{0-11}.a.weight x12", "h.{0-11}.a.bias x12", "head"])
  }

  @Test func bytesAddUp() {
    #expect(Folding.fold((0..<3).map { row("h.\($0).w") }).map(\.bytes) == [48])
  }

  @Test func gapsAndOtherShapesEndARun() {
    let rows = [0, 1, 2, 4, 5].map { row("h.\($0).w") } + [6, 7].map { row("h.\($0).w", [8]) }
    #expect(fold(rows) == ["h.{0-2}.w x3", "h.{4-5}.w x2", "h.{6-7}.w x2"])
  }

  @Test func numbersOutOfOrderFold() {
    #expect(fold([0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9].map { row("h.\($0).w") }) == ["h.{0-11}.w x12"])
  }

  @Test func expertsFoldInsideLayers() {
    let rows = (0..<2).flatMap { layer in (0..<8).map { row("layers.\(layer).experts.\($0).w1") } }
    #expect(fold(rows) == ["layers.{0-1}.experts.{0-7}.w1 x16"])
  }

  @Test func neighboursThatAreNoRepetitionStay() {
    let rows = [
      row("0.weight", [4, 4]), row("0.bias"), row("1.weight"), row("1.bias"), row("1.running_mean", [4], "buffer"),
    ]
    #expect(fold(rows) == rows.map(\.name))
  }

  @Test func tiedTensorsStayAlone() {
    #expect(fold([row("h.0.w"), row("h.1.w", [4], "= h.0.w"), row("h.2.w")]) == ["h.0.w", "h.1.w", "h.2.w"])
  }

  @Test func numbersAsNobodyWritesThemStay() {
    let names = ["h.00.w", "h.01.w", "h.-1.w", "h.99999999999999999999.w", "..", ""]
    #expect(fold(names.map { row($0) }) == names)
  }
}
