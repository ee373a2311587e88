internal import Kernels
internal import Synchronization

/// Random numbers by counting: Philox 4x32-10. What comes next depends on two numbers alone, `seed` and `offset`, so
/// the state is saved and restored exactly, and threads may compute any part of a sequence.
///
/// Block `n` of the sequence, four 32-bit numbers, is Philox of the counter (n, 0) under the key `seed`, both as 64 bits
/// with the low word first.
public final class Generator {
  /// The key.
  public let seed: UInt64
  /// How many blocks of four 32-bit numbers have been taken.
  public var offset: UInt64

  public init(seed: UInt64, offset: UInt64 = 0) {
    self.seed = seed
    self.offset = offset
  }

  /// Takes the next `count` 32-bit numbers; gives the block to start at.
  func reserve(_ count: Int) -> UInt64 {
    defer { offset &+= UInt64((count + 3) / 4) }
    return offset
  }

  /// The next `count` 32-bit numbers.
  public func bits(_ count: Int) -> [UInt32] {
    let block = reserve(count)
    return [UInt32](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let out = buffer.baseAddress { ck_random_bits(out, seed, block, count) }
      initialized = count
    }
  }
}

/// Where random numbers come from when nobody has given a generator.
private let shared = Mutex((seed: UInt64(0), offset: UInt64(0)))

/// Seeds the numbers that modules and functions take which were given no generator: `torch.manual_seed`.
public func manualSeed(_ seed: UInt64) {
  shared.withLock { $0 = (seed, 0) }
}

/// A part of a sequence, for the kernels.
struct RandomNumbers {
  let seed: UInt64
  let block: UInt64

  /// Takes `count` numbers from a generator, or from the shared one.
  init(_ generator: Generator?, _ count: Int) {
    if let generator {
      (seed, block) = (generator.seed, generator.reserve(count))
    } else {
      (seed, block) = shared.withLock { state in
        defer { state.offset &+= UInt64((count + 3) / 4) }
        return (state.seed, state.offset)
      }
    }
  }
}

extension Variable {
  /// Numbers from U(low, high): `torch.nn.init.uniform_`.
  final func fillUniform(_ low: Double, _ high: Double, _ generator: Generator?) {
    let numbers = RandomNumbers(generator, count)
    ck_uniform(storage.floats, numbers.seed, numbers.block, low, high, count)
  }

  /// Numbers from N(mean, deviation): `torch.nn.init.normal_`.
  final func fillNormal(_ mean: Double, _ deviation: Double, _ generator: Generator?) {
    let numbers = RandomNumbers(generator, count)
    ck_normal(storage.floats, numbers.seed, numbers.block, mean, deviation, count)
  }

  /// The same number everywhere: `torch.nn.init.constant_`.
  final func fill(_ value: Float) { ck_fill(storage.floats, value, count) }
}
