import Checkpoint

@testable import Training

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The repository's `fixtures/`.
private let fixtures: String = {
  var parts = #filePath.split(separator: "/")
  parts.removeLast(3)
  return "/" + parts.joined(separator: "/") + "/fixtures"
}()

func dataFixture(_ name: String) -> String { "\(fixtures)/data/\(name)" }
func exampleFixture(_ name: String) -> String { "\(fixtures)/examples/\(name)" }

/// A file that goes when the test ends.
final class DataFile {
  let path: String

  init(_ name: String, _ bytes: some Collection<UInt8>) throws {
    path = "/tmp/ckpt-data-\(getpid())-\(UInt32.random(in: 0 ... .max))-\(name)"
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    let bytes = Array(bytes)
    guard descriptor >= 0, writeAll(descriptor, bytes) == bytes.count else {
      throw CheckpointError(.inputOutput, "cannot write", file: path)
    }
  }

  convenience init(_ name: String, _ text: String) throws { try self.init(name, Array(text.utf8)) }

  deinit { unlink(path) }
}

private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Int { write(descriptor, bytes, bytes.count) }

/// The elements of a value of a batch.
func floats(_ value: Variable) -> [Float] {
  value.dtype == .float32 ? (0..<value.count).map { value.storage.floats[$0] } : []
}

func integers(_ value: Variable) -> [Int] {
  value.dtype == .int64 ? (0..<value.count).map { Int(value.storage.integers[$0]) } : []
}

/// A tensor of numbers in memory.
func tensor<Element: BitwiseCopyable>(_ elements: [Element], _ dtype: DType, _ shape: [Int]) throws -> Tensor {
  try Tensor(dtype: dtype, shape: shape, source: BufferSource(elements: elements))
}

/// Numbers that are the same in each run.
struct Steps: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 33
  }
}
