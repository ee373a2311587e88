import Checkpoint
import CheckpointFormats
import Testing

@testable import Training

/// 200 steps end with the bits of torch's fused Adam and AdamW (2.13, AVX2), for every option and sizes that are no
/// multiples of eight. See `fixtures/make_adam.py`.
@Suite struct AdamTrajectoryTests {
  static let sizes = [1, 5, 8, 13, 64, 1003]

  /// The numbers that the fixture's script computes.
  static func fill(_ out: UnsafeMutablePointer<Float>, _ size: Int, step: Int, exponent: Int) {
    for index in 0..<size {
      let mixed = UInt32(truncatingIfNeeded: index &* 2_654_435_761 &+ step &* 40503 &* 65537)
      out[index] = Float(sign: .plus, exponent: exponent, significand: Float(Int(mixed >> 8) - 1 << 23))
    }
  }

  private static let runs: Result<[Value], any Error> = Result {
    let path = "\(#filePath)".split(separator: "/").dropLast(3).joined(separator: "/")
    guard case .sequence(_, let runs) = try TorchZip.read("/\(path)/fixtures/training/adam.pt").root else { return [] }
    return runs
  }

  private static func options(_ value: Value?) throws -> AdamOptions {
    guard case .dict(let dict)? = value, case .double(let lr)? = dict["lr"], case .double(let eps)? = dict["eps"],
      case .sequence(_, let betas)? = dict["betas"], case .double(let beta1) = betas[0],
      case .double(let beta2) = betas[1], case .double(let decay)? = dict["weight_decay"],
      case .bool(let amsgrad)? = dict["amsgrad"], case .bool(let maximize)? = dict["maximize"]
    else { throw CheckpointError(.damaged, "no options") }
    return AdamOptions(
      lr: lr, betas: (beta1, beta2), eps: eps, weightDecay: decay, amsgrad: amsgrad, maximize: maximize)
  }

  private static func bits(_ value: Value?) throws -> [UInt32] {
    guard case .tensor(let tensor)? = value else { throw CheckpointError(.damaged, "no tensor") }
    return try tensor.elements(as: UInt32.self)
  }

  @Test(arguments: 0..<16) func endsWithTorchsBits(index: Int) throws {
    guard case .dict(let run) = try Self.runs.get()[index] else { throw CheckpointError(.damaged, "no run") }
    guard case .string(let algorithm)? = run["algorithm"] else { throw CheckpointError(.damaged, "no algorithm") }
    let options = try Self.options(run["options"])
    let parameters = try Self.sizes.map { size in
      let parameter = try Parameter(shape: [size])
      Self.fill(parameter.storage.floats, size, step: 0, exponent: -23)
      return NamedParameter("p\(size)", parameter)
    }
    let groups = [ParameterGroup<AdamOptions>(parameters)]
    let optimizer =
      algorithm == "AdamW" ? try AdamW(groups: groups, options: options) : try Adam(groups: groups, options: options)
    for step in 1...200 {
      for (size, entry) in zip(Self.sizes, parameters) {
        let gradient = try Storage(byteCount: size * 4)
        Self.fill(gradient.floats, size, step: step, exponent: -26)
        entry.parameter.gradient = gradient
      }
      try optimizer.step()
    }
    let state = try #require(OptimizerState(.dict(try optimizer.stateDict())))
    #expect(try state.step() == 200)
    guard case .sequence(_, let weights)? = run["weights"] else { throw CheckpointError(.damaged, "no weights") }
    for (position, entry) in parameters.enumerated() {
      let expected = try Self.bits(weights[position])
      let found = (0..<Self.sizes[position]).map { entry.parameter.storage.floats[$0].bitPattern }
      #expect(found == expected, "\(algorithm) \(options) weights of \(Self.sizes[position])")
      for slot in ["exp_avg", "exp_avg_sq"] + (options.amsgrad ? ["max_exp_avg_sq"] : []) {
        guard case .sequence(_, let ends)? = run[slot] else { throw CheckpointError(.damaged, "no \(slot)") }
        let found = try Self.bits(state.slot(slot, of: state.keys[position]))
        let expected = try Self.bits(ends[position])
        #expect(found == expected, "\(algorithm) \(options) \(slot) of \(Self.sizes[position])")
      }
    }
  }
}
