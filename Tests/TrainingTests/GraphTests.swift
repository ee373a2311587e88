import Checkpoint
import Testing

@testable import Training

/// Computations that are longer than a stack is deep.
@Suite struct GraphTests {
  private static let steps = 100_000

  /// `start` plus one, plus one, and so on.
  private func chain(from start: Variable) throws -> Variable {
    let one = try Variable([1], shape: [1])
    var value = start
    for _ in 0..<Self.steps { value = try value + one }
    return value
  }

  private func leaf() throws -> Variable {
    let leaf = try Variable([0], shape: [1])
    leaf.requiresGrad = true
    return leaf
  }

  @Test func aLongChainGoesBack() throws {
    let start = try leaf()
    let end = try chain(from: start)
    try end.backward()
    #expect(try end.item() == Float(Self.steps))
    #expect(start.grad?.values == [1])
  }

  @Test func aLongChainIsFreedThoughNobodyWentBack() throws {
    weak var start: Variable?
    weak var end: Variable?
    do {
      let first = try leaf()
      let last = try chain(from: first)
      (start, end) = (first, last)
      #expect(last.depth == Self.steps)
    }
    #expect(start == nil)
    #expect(end == nil)
  }

  /// Of a graph that branches and meets again, each value goes exactly once, and what somebody holds stays.
  @Test func whatSomebodyHoldsOutlivesTheRest() throws {
    weak var dropped: Variable?
    var kept: Variable?
    let start = try leaf()
    do {
      var value = try start * 2
      kept = value
      for _ in 0..<1000 { value = try value * 0.5 + value * 0.5 }
      let residual = try linear(
        value.reshape([1, 1]), Variable([1], shape: [1, 1]), nil, .none, residual: value.reshape([1, 1]))
      dropped = residual
    }
    #expect(dropped == nil)
    try kept?.backward()
    #expect(start.grad?.values == [2])
  }
}
