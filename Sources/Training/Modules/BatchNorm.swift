public import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What `BatchNorm1d` and `BatchNorm2d` have in common: each channel is normalised to mean 0 and variance 1 over the
/// batch, or in `eval()` by the statistics of the run, and then scaled by `weight` and moved by `bias`.
///
/// The batch is normalised by its biased variance; `running_var` follows the unbiased one, as PyTorch's does.
public class BatchNorm: Module {
  public let numFeatures: Int
  public let eps: Double
  /// How much of `running_mean` and `running_var` the newest batch makes up; nil for the mean of all batches.
  public let momentum: Double?
  /// `[numFeatures]`, ones at first; nil without `affine`.
  public let weight: Parameter?
  /// `[numFeatures]`, zeros at first; nil without `affine`.
  public let bias: Parameter?
  /// The mean of the run; nil without `trackRunningStats`.
  @Named("running_mean") public private(set) var runningMean: Buffer? = nil
  @Named("running_var") public private(set) var runningVar: Buffer? = nil
  @Named("num_batches_tracked") public private(set) var numBatchesTracked: Buffer? = nil

  /// - Throws: `usage` when there is no channel.
  public init(
    _ numFeatures: Int, eps: Double = 1e-5, momentum: Double? = 0.1, affine: Bool = true,
    trackRunningStats: Bool = true
  ) throws(CheckpointError) {
    guard numFeatures > 0, numFeatures < 1 << 32 else {
      throw CheckpointError(.usage, "\(Self.self): \(numFeatures) features")
    }
    self.numFeatures = numFeatures
    self.eps = eps
    self.momentum = momentum
    weight = affine ? try Parameter(shape: [numFeatures]) : nil
    bias = affine ? try Parameter(shape: [numFeatures]) : nil
    super.init()
    weight?.storage.floats.update(repeating: 1, count: numFeatures)
    bias?.storage.floats.update(repeating: 0, count: numFeatures)
    guard trackRunningStats else { return }
    runningMean = try Self.buffer(numFeatures, 0)
    runningVar = try Self.buffer(numFeatures, 1)
    let tracked = try Storage(byteCount: 8)
    tracked.integers.pointee = 0
    numBatchesTracked = Buffer(Variable(shape: [], dtype: .int64, storage: tracked))
  }

  private static func buffer(_ count: Int, _ value: Float) throws(CheckpointError) -> Buffer {
    let storage = try Storage(byteCount: count * 4)
    storage.floats.update(repeating: value, count: count)
    return Buffer(Variable(shape: [count], dtype: .float32, storage: storage))
  }

  /// Which numbers of dimensions the module takes, and how it says so.
  var ranks: (range: ClosedRange<Int>, text: String) { (2...4, "[N, C, …]") }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    guard ranks.range.contains(input.shape.count) else {
      throw CheckpointError(.usage, "\(type(of: self)): input of shape \(input.shape), where \(ranks.text) is due")
    }
    guard input.shape[1] == numFeatures, input.dtype == .float32 else {
      throw CheckpointError(
        .usage, "\(type(of: self))(\(numFeatures)): input of shape \(input.shape) has \(input.shape[1]) channels")
    }
    let shape = NormShape(input)
    return try batchNorm(input, shape, try statistics(input, shape), weight: weight, bias: bias)
  }

  private func statistics(_ input: Variable, _ shape: NormShape) throws(CheckpointError) -> NormStatistics {
    guard !training, let mean = runningMean?.value.storage, let variance = runningVar?.value.storage else {
      return try statisticsOfBatch(input, shape)
    }
    let channels = 0..<numFeatures
    return NormStatistics(
      mean: channels.map { mean.floats[$0] },
      scale: channels.map { 1 / (Double(variance.floats[$0]) + eps).squareRoot() }, isOfBatch: false)
  }

  private func statisticsOfBatch(_ input: Variable, _ shape: NormShape) throws(CheckpointError) -> NormStatistics {
    let count = shape.perChannel
    guard count > 1 || (!training && count == 1) else {
      throw CheckpointError(
        .usage,
        "\(type(of: self)): an input of shape \(input.shape) has \(count) value\(count == 1 ? "" : "s") per "
          + "channel: too few for a variance")
    }
    // Sums of differences from a value near the mean: what is squared stays small.
    let shift = try NormNumbers(rows: 1, channels: numFeatures)
    for channel in 0..<numFeatures { shift.row(0)[channel] = input.storage.floats[channel * shape.inner] }
    let sums = try shape.sums(input.storage.floats, nil, shift: shift.row(0))
    var means: [Double] = []
    var variances: [Double] = []
    for channel in 0..<numFeatures {
      let offset = sums[channel] / Double(count)
      means.append(Double(shift.row(0)[channel]) + offset)
      let variance = sums[numFeatures + channel] / Double(count) - offset * offset
      variances.append(variance < 0 ? 0 : variance)
    }
    if training { follow(means, variances, count) }
    return NormStatistics(
      mean: means.map { Float($0) }, scale: variances.map { 1 / ($0 + eps).squareRoot() }, isOfBatch: true)
  }

  /// Moves the running statistics towards the batch's.
  private func follow(_ means: [Double], _ variances: [Double], _ count: Int) {
    guard let mean = runningMean?.value.storage.floats, let variance = runningVar?.value.storage.floats,
      let tracked = numBatchesTracked?.value.storage.integers
    else { return }
    tracked.pointee &+= 1
    let part = momentum ?? 1 / Double(tracked.pointee)
    let unbiased = Double(count) / Double(count - 1)
    for channel in 0..<numFeatures {
      mean[channel] = Float(part * means[channel] + (1 - part) * Double(mean[channel]))
      variance[channel] = Float(part * variances[channel] * unbiased + (1 - part) * Double(variance[channel]))
    }
  }
}
