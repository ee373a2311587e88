import Kernels
import Testing

@testable import Training

@Suite struct GeneratorTests {
  @Test func reservesWholeBlocks() {
    let generator = Generator(seed: 1)
    #expect(generator.reserve(5) == 0)
    #expect(generator.offset == 2)
  }

  /// The known answers that come with Random123, the authors' code: counter, key, result.
  @Test(
    arguments: [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff], [0xffff_ffff, 0xffff_ffff],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func philoxGivesTheKnownAnswers(_ counter: [UInt32], _ key: [UInt32], _ expected: [UInt32]) {
    var out = [UInt32](repeating: 0, count: 4)
    ck_philox(counter, key, &out)
    #expect(out == expected)
  }

  @Test func aSequenceIsTheBlocksInOrder() {
    let seed: UInt64 = 0x1234_5678_9abc_def0
    let first: UInt64 = 0xffff_fffe
    let bits = Generator(seed: seed, offset: first).bits(2500)
    for block in [0, 1, 2, 300, 624] {
      let number = first + UInt64(block)
      let counter = [UInt32(truncatingIfNeeded: number), UInt32(number >> 32), 0, 0]
      var out = [UInt32](repeating: 0, count: 4)
      ck_philox(counter, [UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)], &out)
      #expect(Array(bits[(4 * block)..<(4 * block + 4)]) == out)
    }
  }

  @Test func theOffsetSaysWhereToGoOn() {
    let whole = Generator(seed: 5)
    let bits = whole.bits(4000)
    let rest = Generator(seed: 5, offset: 500).bits(2000)
    #expect(rest == Array(bits[2000...]))
  }

  @Test func uniformNumbersStayInTheirRange() throws {
    let value = try Variable.zeros([20000])
    value.fillUniform(-0.5, 0.25, Generator(seed: 1))
    let values = value.values
    #expect(values.allSatisfy { $0 >= -0.5 && $0 < 0.25 })
    #expect(abs(values.reduce(0, +) / 20000 + 0.125) < 0.01)
  }

  @Test func normalNumbersHaveTheirMoments() throws {
    let value = try Variable.zeros([40001])
    value.fillNormal(3, 2, Generator(seed: 1))
    let values = value.values.map { Double($0) }
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(values.count)
    #expect(abs(mean - 3) < 0.05)
    #expect(abs(variance - 4) < 0.1)
  }
}
