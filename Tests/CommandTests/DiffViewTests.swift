import Checkpoint
import CommandSupport
import Testing

@testable import ckpt

@Suite struct DiffViewTests {
  private func tensor(_ numbers: [Float]) throws -> Value {
    .tensor(try Tensor(dtype: .float32, shape: [numbers.count], source: BufferSource(elements: numbers)))
  }

  private func root(_ step: Int64, _ shift: Float) throws -> Value {
    var model: [Dict.Entry] = []
    for layer in 0..<4 { model.append(Dict.Entry(.string("h.\(layer).w"), try tensor([1, 2 + shift, 3]))) }
    return .dict(
      Dict([Dict.Entry(.string("step"), .int(step)), Dict.Entry(.string("model"), .dict(Dict(model)))]))
  }

  private func text(_ a: Value, _ b: Value, values: Bool = false) throws -> String {
    let view = DiffView(diff: try Diff(a, b), a: ("a", a), b: ("b", b), showsValues: values)
    return String(decoding: try view.text(.plain), as: UTF8.self)
  }

  @Test func layersThatRepeatAreOneRow() throws {
    let text = try text(try root(1, 0), try root(2, 0.5))
    #expect(
      text == """
        a and b differ: 5 changed

        changed
          step  1 -> 2

        changed tensors
          tensor               differ  of  max abs  max rel
          model.h.{0-3}.w  x4       4  12      0.5      0.2

        """, "\(text)")
  }

  @Test func anotherTypeIsShownWithItsValues() throws {
    let (a, b) = (
      Value.dict(Dict([Dict.Entry(.string("lr"), .double(0.5))])),
      Value.dict(Dict([Dict.Entry(.string("lr"), .int(0))]))
    )
    let text = try text(a, b)
    #expect(text.contains("  lr  0.5 -> 0 (float -> int)\n"), "\(text)")
  }

  @Test func valuesShowEachTensor() throws {
    let text = try text(try root(1, 0), try root(1, 0.5), values: true)
    #expect(text.contains("model.h.2.w") && text.contains("[1]  2.0 -> 2.5"), "\(text)")
  }
}
