public import Checkpoint

/// Samples from two arrays whose first dimensions are the samples: `torch.utils.data.TensorDataset` of a pair.
///
/// The arrays stay in their file and samples are copied out of it, batch by batch; what must be converted is converted
/// once when it takes at most 64 MiB (bytes never are). Inputs of integers are tokens (int64), but for uint8 and bool, which like floats
/// become float32. All of both arrays is looked at once, when the set is made: NaN and infinities, and numbers that
/// float32 cannot hold, are errors that name the file, the array and the row.
public final class ArrayDataset: Dataset {
  private let inputs: SampleArray
  private let targets: SampleArray

  public var count: Int { inputs.count }
  public var inputInfo: SampleInfo? { inputs.info }
  public var targetInfo: SampleInfo? { targets.info }

  /// - Parameters:
  ///   - inputs: `[samples, …]`
  ///   - targets: `[samples, …]`, as many samples.
  ///   - kind: what the targets are to the loss; nil: labels when they are integers, else numbers. Floats may be labels
  ///     when all of them are whole.
  ///   - names: what errors call the two.
  /// - Throws: `damaged` when the arrays do not fit or hold what cannot be used, `unsupported` for complex numbers and
  ///   packed types.
  public convenience init(
    inputs: Tensor, targets: Tensor, kind: TargetKind? = nil,
    names: (inputs: String, targets: String) = ("inputs", "targets"),
    file: String? = nil
  ) throws(CheckpointError) {
    try self.init(
      (inputs, DataPlace(file: file, place: "array '\(names.inputs)'")),
      (targets, DataPlace(file: file, place: "array '\(names.targets)'")), kind)
  }

  /// From a file of arrays: `.npz`, `.h5`, `.safetensors`.
  ///
  /// - Parameters:
  ///   - inputs: the name of the array.
  ///   - targets: the name of the array.
  public convenience init(
    file: String, inputs: String, targets: String, kind: TargetKind? = nil
  ) throws(CheckpointError) {
    let arrays = try ArrayFile(file)
    try self.init(
      inputs: arrays.tensor(inputs), targets: arrays.tensor(targets), kind: kind, names: (inputs, targets), file: file)
  }

  /// From a file each, as `.npy` has it.
  public convenience init(
    inputsFile: String, targetsFile: String, kind: TargetKind? = nil
  ) throws(CheckpointError) {
    try self.init(
      (ArrayFile(inputsFile).tensor(nil), DataPlace(file: inputsFile, place: nil)),
      (ArrayFile(targetsFile).tensor(nil), DataPlace(file: targetsFile, place: nil)), kind)
  }

  private init(
    _ inputs: (tensor: Tensor, place: DataPlace), _ targets: (tensor: Tensor, place: DataPlace), _ kind: TargetKind?
  ) throws(CheckpointError) {
    let (x, y) = (inputs.tensor.shape, targets.tensor.shape)
    if let samples = x.first, let others = y.first, samples != others {
      throw targets.place.error(
        .damaged, "\(others) samples (shape \(y)), where the inputs have \(samples) (shape \(x))",
        advice: "The first dimension counts the samples, and both arrays must have as many.")
    }
    let isInteger = !targets.tensor.dtype.isFloatingPoint && targets.tensor.dtype != .bool
    let kind = kind ?? (isInteger ? .labels : .numbers)
    self.inputs = try SampleArray(inputs.tensor, role: .inputs, place: inputs.place)
    self.targets = try SampleArray(
      targets.tensor, role: kind == .labels ? .labels : .numbers, place: targets.place)
  }

  /// For other sources of numbers.
  init(inputs: SampleArray, targets: SampleArray) {
    self.inputs = inputs
    self.targets = targets
  }

  public func batch(_ samples: [Int]) throws(CheckpointError) -> Batch {
    Batch(inputs: try inputs.gather(samples), targets: try targets.gather(samples), samples: samples.count)
  }

  /// Checks that the targets are labels of so many classes.
  ///
  /// - Parameter ignoring: a label that stands for none, as cross entropy's `ignore_index`.
  /// - Throws: `damaged` naming the first row whose label is not; `usage` when the targets are numbers.
  public func checkLabels(classes: Int, ignoring: Int? = -100) throws(CheckpointError) {
    guard let range = targets.info.range else {
      throw targets.place.error(
        .usage, "holds numbers, where labels are due", advice: "Cross entropy wants the classes as integers.")
    }
    if range.lowerBound >= 0, range.upperBound < classes { return }
    guard let (row, label) = try targets.firstOutside(0..<max(classes, 0), ignoring: ignoring) else { return }
    throw targets.place.error(
      .damaged, "labels must be in 0..<\(classes); row \(row) has \(label)",
      advice: "The model has \(classes) outputs; labels count from 0.")
  }

  /// Checks that inputs that are tokens are below `vocabulary`.
  ///
  /// - Throws: `damaged` naming the first row with another.
  public func checkTokens(vocabulary: Int) throws(CheckpointError) {
    guard let range = inputs.info.range, range.lowerBound < 0 || range.upperBound >= vocabulary,
      let (row, token) = try inputs.firstOutside(0..<max(vocabulary, 0), ignoring: nil)
    else { return }
    throw inputs.place.error(.damaged, "tokens must be in 0..<\(vocabulary); row \(row) has \(token)")
  }
}
