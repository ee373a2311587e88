internal import Checkpoint

extension Variable {
  /// Sets all elements to random numbers from U(low, high).
  ///
  /// - Parameter generator: whose next numbers they are; nil for a seed by the system.
  func fillUniform(_ low: Double, _ high: Double, _ generator: Generator?) {
    var system = SystemRandomNumberGenerator()
    let source = generator ?? Generator(seed: system.next())
    let first = source.reserve(count)
    for index in 0..<count {
      let word = philox(source.seed, first &+ UInt64(index / 4))[index % 4]
      // As many bits as a float has: each number is exact, and 1 is none of them.
      storage.floats[index] = Float(low + Double(word >> 8) * 0x1p-24 * (high - low))
    }
  }
}

/// Block `counter` of Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
func philox(_ seed: UInt64, _ counter: UInt64) -> SIMD4<UInt32> {
  var key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
  var words = SIMD4(UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32), 0, 0)
  for _ in 0..<10 {
    let a = UInt64(0xD251_1F53) * UInt64(words[0])
    let b = UInt64(0xCD9E_8D57) * UInt64(words[2])
    words = SIMD4(
      UInt32(truncatingIfNeeded: b >> 32) ^ words[1] ^ key.0, UInt32(truncatingIfNeeded: b),
      UInt32(truncatingIfNeeded: a >> 32) ^ words[3] ^ key.1, UInt32(truncatingIfNeeded: a))
    key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
  }
  return words
}
