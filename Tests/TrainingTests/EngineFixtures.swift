import Checkpoint
import CheckpointFormats
import Testing

@testable import Training

/// Cases that real PyTorch computed: `fixtures/make_training_fixtures.py`.
struct EngineCase: CustomStringConvertible, Sendable {
  let name: String
  let dict: Dict

  var description: String { name }

  static let modules = read("modules")
  static let functions = read("functions")

  private static func read(_ name: String) -> [EngineCase] {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    guard let file = try? TorchZip.read("\(root)/fixtures/training/engine/\(name).pt"),
      case .dict(let dict) = file.root, case .sequence(_, let items) = dict["cases"]
    else { return [] }
    return items.compactMap { item in
      guard case .dict(let dict) = item, case .string(let name) = dict["name"] else { return nil }
      return EngineCase(name: name, dict: dict)
    }
  }

  var state: Dict { if case .dict(let dict) = dict["state"] { dict } else { Dict() } }

  /// The list of tensors under a name; nil for None.
  func list(_ name: String) -> [Tensor?] {
    guard case .sequence(_, let items) = dict[name] else { return [] }
    return items.map { if case .tensor(let tensor) = $0 { tensor } else { nil } }
  }

  func tensor(_ name: String) -> Tensor? { if case .tensor(let tensor) = dict[name] { tensor } else { nil } }

  /// Leaves with the inputs' numbers; floats want gradients.
  func inputs() throws -> [Variable] {
    try list("inputs").compactMap { tensor in
      guard let tensor else { return nil }
      if tensor.dtype == .int64 { return try Variable(tensor.elements(as: Int64.self), shape: tensor.shape) }
      let leaf = try Variable(tensor.elements(as: Float.self), shape: tensor.shape)
      leaf.requiresGrad = true
      return leaf
    }
  }

  /// The gradient of a parameter.
  func gradient(_ name: String) -> Tensor? {
    guard case .dict(let dict) = dict["grads"], case .tensor(let tensor) = dict[name] else { return nil }
    return tensor
  }

  /// Goes back from the output with the gradient that PyTorch was given.
  func goBack(from output: Variable) throws {
    guard let given = tensor("given") else { return try output.backward() }
    try (output * Variable(given.elements(as: Float.self), shape: given.shape)).sum().backward()
  }
}

/// The largest difference relative to the largest magnitude of what is expected.
func error(_ found: Variable?, _ expected: Tensor?) throws -> Float {
  let found = try #require(found)
  let expected = try #require(expected)
  #expect(found.shape == expected.shape)
  let truth = try expected.elements(as: Float.self)
  var largest: Float = 1e-30
  var difference: Float = 0
  for (a, b) in zip(found.values, truth) {
    largest = max(largest, abs(b))
    difference = a.isNaN || b.isNaN ? .infinity : max(difference, abs(a - b))
  }
  return difference / largest
}

/// What is allowed for a function, a module or a whole network. PyTorch's own float32 is up to 0.88e-6 from the truth for
/// the networks among the cases, since they round some thirty times on the way.
let engineTolerance: Float = 1e-6

/// Runs `body` with one and with two threads.
func withThreadCounts(_ body: (Int) throws -> Void) rethrows {
  let before = Threads.count
  defer { Threads.count = before }
  for count in [1, 2] {
    Threads.count = count
    try body(count)
  }
}
