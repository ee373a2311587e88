import Checkpoint
import CheckpointFormats
import Testing

@testable import Training

/// Cases that real PyTorch computed: `fixtures/make_training_conv_fixtures.py`.
enum ConvolutionFixtures {
  static func cases(_ name: String) throws -> [FixtureCase] {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    let file = try TorchZip.read("\(root)/fixtures/training/conv/\(name).pt")
    guard case .dict(let dict) = file.root, case .sequence(_, let items) = dict["cases"] else { return [] }
    return items.compactMap { if case .dict(let dict) = $0 { FixtureCase(dict: dict) } else { nil } }
  }
}

/// One case: options and tensors by name.
struct FixtureCase: CustomStringConvertible {
  let dict: Dict

  var description: String { (try? string("name")) ?? "?" }

  func string(_ name: String) throws -> String {
    guard case .string(let text) = dict[name] else { throw Missing(name) }
    return text
  }

  func int(_ name: String) throws -> Int {
    guard case .int(let number) = dict[name] else { throw Missing(name) }
    return Int(number)
  }

  func flag(_ name: String) throws -> Bool {
    guard case .bool(let flag) = dict[name] else { throw Missing(name) }
    return flag
  }

  /// nil for None.
  func number(_ name: String) throws -> Double? {
    switch dict[name] {
    case .some(.double(let number)): number
    case .some(.none): nil
    default: throw Missing(name)
    }
  }

  func pair(_ name: String) throws -> Pair {
    guard case .sequence(_, let items) = dict[name], case .int(let a) = items[0], case .int(let b) = items[1] else {
      throw Missing(name)
    }
    return Pair(Int(a), Int(b))
  }

  func list(_ name: String) throws -> [FixtureCase] {
    guard case .sequence(_, let items) = dict[name] else { throw Missing(name) }
    return items.compactMap { if case .dict(let dict) = $0 { FixtureCase(dict: dict) } else { nil } }
  }

  func has(_ name: String) -> Bool { dict[name] != nil }

  func tensor(_ name: String) throws -> Tensor {
    guard case .tensor(let tensor) = dict[name] else { throw Missing(name) }
    return tensor
  }

  func values(_ name: String) throws -> [Float] { try tensor(name).elements(as: Float.self) }

  /// A leaf with the tensor's numbers.
  func leaf(_ name: String, requiresGrad: Bool = true, layout: Variable.Layout = .contiguous) throws -> Variable {
    let tensor = try tensor(name)
    let rows = Variable(
      shape: tensor.shape, dtype: .float32, storage: try Storage(byteCount: tensor.count * 4),
      requiresGrad: false)
    for (index, value) in try values(name).enumerated() { rows.storage.floats[index] = value }
    let value = layout == .contiguous ? rows : try rows.channelsLast()
    value.requiresGrad = requiresGrad
    return value
  }

  /// Puts the tensor's numbers into a parameter.
  func fill(_ parameter: Variable?, _ name: String) throws {
    guard let parameter else { return }
    for (index, value) in try values(name).enumerated() { parameter.storage.floats[index] = value }
  }

  struct Missing: Error {
    let name: String
    init(_ name: String) { self.name = name }
  }
}

extension Variable {
  /// All elements in PyTorch's order.
  func rowMajor() throws -> [Float] {
    let rows = try withoutGradients { () throws(CheckpointError) in try contiguous() }
    return (0..<count).map { rows.storage.floats[$0] }
  }

  /// The gradient's elements in PyTorch's order.
  func gradientRowMajor() throws -> [Float] {
    guard let gradient else { return [] }
    return try Variable(shape: shape, dtype: .float32, layout: layout, storage: gradient).rowMajor()
  }

  /// Goes the way back from a value that is no scalar, with a gradient given.
  func backward(given: Variable) throws {
    let own = layout == .contiguous ? try given.contiguous() : try given.channelsLast()
    // sum(value * given), whose gradient with respect to the value is what was given.
    let total = try Storage(byteCount: 4)
    total.floats.pointee = 0
    let loss = Variable.result(of: [self], shape: [], storage: total) { (_) throws(CheckpointError) in
      try self.addGradient(own.storage)
    }
    try loss.backward()
  }
}

/// How far numbers are from others, measured by the largest of these.
func distance(_ found: [Float], _ expected: [Float]) -> Double {
  guard found.count == expected.count else { return .infinity }
  var largest = 1e-30
  var difference = 0.0
  for (x, y) in zip(found, expected) {
    largest = max(largest, abs(Double(y)))
    difference = max(difference, x.isNaN != y.isNaN ? .infinity : abs(Double(x) - Double(y)))
  }
  return difference / largest
}

/// The tolerance of all comparisons with PyTorch: relative to the tensor's largest number.
let tolerance = 1e-6
