import Checkpoint
import CheckpointFormats
import Kernels
import Testing

@testable import Training

/// `fixtures/training/optimizers/NAME.pt`, made by `fixtures/make_optimizer_fixtures.py` with real torch.
func optimizerFixture(_ name: String) throws -> Value {
  var parts = #filePath.split(separator: "/")
  parts.removeLast(3)
  return try TorchZip.read("/" + parts.joined(separator: "/") + "/fixtures/training/optimizers/\(name).pt").root
}

extension Value {
  subscript(_ key: String) -> Value {
    guard case .dict(let dict) = self, let value = dict[key] else { return .none }
    return value
  }

  var items: [Value] { if case .sequence(_, let items) = self { items } else { [] } }

  var number: Double? {
    switch self {
    case .double(let number): number
    case .int(let number): Double(number)
    default: nil
    }
  }

  var flag: Bool { if case .bool(true) = self { true } else { false } }

  var text: String { if case .string(let text) = self { text } else { "" } }

  func elements<Element: BitwiseCopyable>(_ type: Element.Type) throws -> [Element] {
    guard case .tensor(let tensor) = self else { return [] }
    return try tensor.elements(as: type)
  }
}

/// The parameters and gradients of the fixtures: numbers from a hash of whole numbers, exact in float32.
enum Hashed {
  static let sizes = [5, 8, 13, 64, 1003]

  static func word(_ index: Int, _ step: Int, _ tensor: Int) -> UInt32 {
    var x = UInt32(truncatingIfNeeded: index &* 2_654_435_761 &+ step &* 0x9E37_79B9 &+ tensor &* 0x85EB_CA6B)
    x ^= x >> 16
    x = x &* 0x7FEB_352D
    x ^= x >> 15
    x = x &* 0x846C_A68B
    return x ^ (x >> 16)
  }

  static func fill(_ out: UnsafeMutablePointer<Float>, _ count: Int, _ step: Int, _ tensor: Int) {
    let scale: Float = step == 0 ? 0x1p-18 : 0x1p-15
    for index in 0..<count {
      let x = word(index, step, tensor)
      let mantissa = Float(Int32((x >> 8) & 0xFFFF) - 32768)
      // 8^-exponent
      let power = step == 0 ? Float(1) : Float(bitPattern: (127 - 3 * (x & 7)) << 23)
      out[index] = mantissa * scale * power
    }
  }

  static let special: [Float] = [
    .infinity, -.infinity, .nan, Float(bitPattern: 1), -Float(bitPattern: 71362), 1e38, -0.0,
    Float(bitPattern: 2140872),
    1e-20, 2.5e19,
  ]

  static func gradient(_ count: Int, _ step: Int, _ tensor: Int, special isSpecial: Bool) throws -> Storage {
    let storage = try Storage(byteCount: count * 4)
    fill(storage.floats, count, step, tensor)
    guard isSpecial else { return storage }
    for index in 0..<count {
      let x = word(index, step + 1000, tensor)
      if x % 16 == 0 { storage.floats[index] = special[Int(x >> 8) % special.count] }
    }
    return storage
  }

  static func parameters() throws -> [NamedParameter] {
    try sizes.enumerated().map { tensor, size in
      let parameter = try Parameter(shape: [size])
      fill(parameter.storage.floats, size, 0, tensor)
      return NamedParameter("layer.\(tensor)", parameter)
    }
  }

  /// Sets the gradients of a step, as the fixtures' script does.
  static func setGradients(_ parameters: [NamedParameter], _ step: Int, skips: Bool, special: Bool) throws {
    for (tensor, entry) in parameters.enumerated() {
      let has = !skips || (tensor != 1 && (step + tensor) % 5 != 0)
      entry.parameter.gradient =
        has ? try gradient(entry.parameter.count, step, tensor, special: special) : nil
    }
  }

  /// The script's polynomial over the bits.
  static func checksum<Elements: RandomAccessCollection<Float>>(_ tensors: [Elements]) -> Int64 {
    var total: UInt64 = 0
    for tensor in tensors {
      var sum: UInt64 = 0
      for (index, number) in tensor.enumerated() {
        let word = number.isNaN ? 0x7FC0_0000 : number.bitPattern
        sum &+= UInt64(word) &* ((UInt64(index) &* 2 &+ 1) &* 0x9E37_79B9_7F4A_7C15)
      }
      total = total &* 31 &+ sum
    }
    return Int64(bitPattern: total)
  }
}

extension ParameterTable {
  /// All that a slot holds, tensor by tensor, where there is something.
  func buffers(slot: Int) -> [UnsafeBufferPointer<Float>] {
    (0..<count).compactMap { index in
      storage(index, slot).map { UnsafeBufferPointer(start: $0.floats, count: tensors[index].count) }
    }
  }
}

extension NamedParameter {
  var buffer: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: parameter.storage.floats, count: parameter.count)
  }

  var values: [Float] { Array(buffer) }
}

/// The optimizer of a fixture's case, over fresh parameters.
func makeOptimizer(
  _ fixture: Value, _ parameters: [NamedParameter], groups: [ParameterGroup<AdamOptions>]? = nil
) throws -> any TableOptimizer {
  let options = fixture["options"]
  func number(_ key: String, _ standard: Double) -> Double { options[key].number ?? standard }
  switch fixture["algorithm"].text {
  case "Adam", "AdamW":
    let isDecoupled = fixture["algorithm"].text == "AdamW"
    let betas = options["betas"].items.compactMap(\.number)
    let own = AdamOptions(
      lr: number("lr", 1e-3), betas: betas.count == 2 ? (betas[0], betas[1]) : (0.9, 0.999), eps: number("eps", 1e-8),
      weightDecay: number("weight_decay", isDecoupled ? 0.01 : 0), amsgrad: options["amsgrad"].flag,
      maximize: options["maximize"].flag)
    let groups = groups ?? [ParameterGroup(parameters)]
    return isDecoupled ? try AdamW(groups: groups, options: own) : try Adam(groups: groups, options: own)
  case "SGD":
    return try SGD(
      parameters: parameters, lr: number("lr", 1e-3), momentum: number("momentum", 0),
      dampening: number("dampening", 0), weightDecay: number("weight_decay", 0), nesterov: options["nesterov"].flag,
      maximize: options["maximize"].flag)
  case "RMSprop":
    return try RMSprop(
      parameters: parameters, lr: number("lr", 1e-2), alpha: number("alpha", 0.99), eps: number("eps", 1e-8),
      weightDecay: number("weight_decay", 0), momentum: number("momentum", 0), centered: options["centered"].flag,
      maximize: options["maximize"].flag)
  default:
    return try Adagrad(
      parameters: parameters, lr: number("lr", 1e-2), lrDecay: number("lr_decay", 0),
      weightDecay: number("weight_decay", 0), initialAccumulatorValue: number("initial_accumulator_value", 0),
      eps: number("eps", 1e-10), maximize: options["maximize"].flag)
  }
}
