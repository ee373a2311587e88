import Checkpoint
import CheckpointFormats
import Testing

@testable import Training

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder that goes when the test ends.
final class RunScratch {
  let path: String

  init() throws {
    path = "/tmp/ckpt-run-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    guard mkdir(path, 0o700) == 0 else { throw CheckpointError(.cannotCreate, "no folder", file: path) }
  }

  deinit { remove(path) }

  var names: [String] { Self.list(path) }

  private static func list(_ folder: String) -> [String] {
    guard let listing = opendir(folder) else { return [] }
    defer { closedir(listing) }
    var names: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  private func remove(_ path: String) {
    for name in Self.list(path) where unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
    rmdir(path)
  }
}

/// A short run of a small network with dropout, shuffling, a schedule and averages over made-up samples.
struct SmallRun {
  var seed: UInt64 = 7
  var steps = 24
  var batch = 8
  var shuffle = true
  var dropout = 0.25
  var accumulate = 2
  var every: Int? = 10
  var ema: Double? = 0.9
  var schedule: any Schedule = Warmup(steps: 3, next: CosineSchedule(total: 21, minimum: 1e-4))
  var lr = 0.01
  var keep: Int?
  var hasValidation = true

  static let samples = 37

  static func dataset() throws -> ArrayDataset {
    let values = (0..<samples * 4).map { Float(($0 &* 2_654_435_761) >> 8 & 0xFFFF) / 65536 - 0.5 }
    let labels = (0..<samples).map { Int64($0 % 3) }
    return try ArrayDataset(
      inputs: tensor(values, .float32, [samples, 4]), targets: tensor(labels, .int64, [samples]))
  }

  func trainer(_ folder: RunScratch, stopAt: Int? = nil) throws -> Trainer {
    let generator = Generator(seed: seed)
    let model = Sequential(
      try Linear(4, 16, generator: generator), try BatchNorm1d(16), ReLU(), try Dropout(dropout),
      try Linear(16, 3, generator: generator))
    let optimizer = try AdamW(parameters: model.namedParameters(), lr: lr)
    let data = try Self.dataset()
    var options = RunOptions(steps: steps, folder: RunFolder(folder.path))
    options.stopAt = stopAt
    options.accumulate = accumulate
    options.clipGradNorm = 1
    options.emaDecay = ema
    options.logEvery = 5
    options.evaluateEvery = 8
    options.checkpoint.every = every
    options.checkpoint.keep = keep
    options.config = .dict(Dict(["seed": .int(Int64(seed))]))
    return try Trainer(
      model: model, loss: CrossEntropyLoss(), optimizer: optimizer, schedule: schedule, training: data,
      validation: hasValidation ? data : nil, sampler: try data.sampler(batch: batch, shuffle: shuffle, seed: seed),
      generator: generator, options: options)
  }
}

extension Trainer {
  /// The content digest of everything that the run is.
  func digest() throws -> String { try ContentDigest.compute(try snapshot()).hex }
}

extension Dict {
  var names: [String] { entries.compactMap { if case .string(let name) = $0.key { name } else { nil } } }
}
