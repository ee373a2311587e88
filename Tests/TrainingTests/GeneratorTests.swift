import Testing

@testable import Training

@Suite struct GeneratorTests {
  @Test func reservesWholeBlocks() {
    let generator = Generator(seed: 1)
    #expect(generator.reserve(5) == 0)
    #expect(generator.offset == 2)
  }
}
