import Checkpoint
import Testing

@testable import Training

@Suite(.serialized) struct ClippingTests {
  private func parameters() throws -> [Parameter] {
    let parameters = try Hashed.parameters()
    try Hashed.setGradients(parameters, 1, skips: false, special: false)
    return parameters.map(\.parameter)
  }

  @Test(arguments: ["2", "1", "inf", "small"]) func normsAndGradientsAreTorchs(_ name: String) throws {
    let fixture = try optimizerFixture("clipping")[name]
    let parameters = try parameters()
    let limit = try #require(fixture["limit"].number)
    let type = try #require(fixture["norm_type"].number)
    let norm = try clipGradNorm(parameters, maxNorm: limit, normType: type)
    let total = try #require(fixture["total"].number)
    #expect(abs(norm - total) <= 1e-6 * total)
    for (parameter, stored) in zip(parameters, fixture["gradients"].items) {
      for (found, expected) in zip(parameter.grad?.values ?? [], try stored.elements(Float.self)) {
        #expect(abs(found - expected) <= 1e-6 * abs(expected))
      }
    }
  }

  @Test func valuesAreCutAsTorchDoes() throws {
    let fixture = try optimizerFixture("clipping")["value"]
    let parameters = try parameters()
    try clipGradValue(parameters, 0.01)
    for (parameter, stored) in zip(parameters, fixture["gradients"].items) {
      #expect(parameter.grad?.values == (try stored.elements(Float.self)))
    }
  }

  @Test func otherNormsToo() throws {
    let parameter = try Parameter(shape: [3])
    let gradient = try Storage(byteCount: 12)
    for (index, value) in [1, -2, 2].enumerated() { gradient.floats[index] = Float(value) }
    parameter.gradient = gradient
    #expect(gradNorm([parameter]) == 3)
    #expect(gradNorm([parameter], normType: 1) == 5)
    #expect(gradNorm([parameter], normType: .infinity) == 2)
    #expect(abs(gradNorm([parameter], normType: 3) - 2.571_281_590_658_235) < 1e-12)
  }

  @Test func whatHasNoGradientCountsAsNothing() throws {
    let parameters = try parameters()
    let norm = gradNorm(parameters)
    #expect(gradNorm(parameters + [try Parameter(shape: [100])]) == norm)
    #expect(try clipGradNorm([try Parameter(shape: [2])], maxNorm: 1) == 0)
  }

  @Test func numbersThatAreNoneAreSeen() throws {
    for (value, norms) in [(Float.nan, [2, 1, Double.infinity]), (.infinity, [2, 1, .infinity])] {
      let parameters = try parameters()
      parameters[2].gradient?.floats[7] = value
      for type in norms {
        let norm = gradNorm(parameters, normType: type)
        #expect(value.isNaN ? norm.isNaN : norm == .infinity, "\(value) in norm \(type)")
      }
    }
  }

  /// A sum hands one gradient on to both of its terms.
  @Test func aSharedGradientIsClippedOnce() throws {
    let (a, b) = (try Parameter(shape: [8]), try Parameter(shape: [8]))
    try (a + b).sum().backward()
    let norm = try clipGradNorm([a, b], maxNorm: 1)
    #expect(norm == 4)
    let expected = 1 / (4 + 1e-6)
    for parameter in [a, b] {
      #expect(parameter.grad?.values.allSatisfy { abs(Double($0) - expected) < 1e-7 } == true)
    }
  }

  @Test func threadsDoNotChangeABit() throws {
    let before = Threads.count
    defer { Threads.count = before }
    let norms = try [1, 2, 3].map { threads in
      Threads.count = threads
      let parameter = try Parameter(shape: [200_003])
      parameter.gradient = try Hashed.gradient(200_003, 1, 0, special: false)
      return try clipGradNorm([parameter], maxNorm: 0.1).bitPattern
    }
    #expect(Set(norms).count == 1)
  }
}
