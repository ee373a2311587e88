internal import Checkpoint
internal import Kernels

/// The sizes of a convolution over some images.
struct ConvolutionShape: Hashable, Sendable {
  var batch: Int
  let groups: Int
  let inChannels: Int
  let outChannels: Int
  let image: Pair
  let places: Pair
  let window: ConvolutionWindow
  let hasBias: Bool

  /// - Throws: `usage` when the sizes do not fit together; the message names them.
  init(
    input: [Int], weight: [Int], bias: [Int]?, stride: Pair, padding: Pair, dilation: Pair, groups: Int
  ) throws(CheckpointError) {
    let owner = "conv2d"
    guard input.count == 4, weight.count == 4 else {
      throw CheckpointError(
        .usage,
        "\(owner): input of shape \(input) and weight of shape \(weight), where [N, C, H, W] and "
          + "[out, in / groups, kH, kW] are due")
    }
    guard groups > 0, weight[0] % groups == 0 else {
      throw CheckpointError(.usage, "\(owner): \(weight[0]) output channels in \(groups) groups")
    }
    guard input[1] == weight[1] * groups else {
      throw CheckpointError(
        .usage,
        "\(owner): input of shape \(input) has \(input[1]) channels, where weight of shape \(weight) in "
          + "\(groups) group\(groups == 1 ? "" : "s") takes \(weight[1] * groups)")
    }
    if let bias, bias != [weight[0]] {
      throw CheckpointError(
        .usage, "\(owner): bias of shape \(bias), where weight of shape \(weight) is due [\(weight[0])]")
    }
    window = ConvolutionWindow(
      kernel: Pair(weight[2], weight[3]), stride: stride, padding: padding, dilation: dilation)
    try window.check(owner)
    batch = input[0]
    self.groups = groups
    inChannels = input[1]
    outChannels = weight[0]
    image = Pair(input[2], input[3])
    places = try window.places(over: image, owner)
    hasBias = bias != nil
    _ = try elementCount(output, owner)
  }

  /// The result's shape.
  var output: [Int] { [batch, outChannels, places.height, places.width] }

  /// Elements of one image, of one result, and of all filters.
  var imageCount: Int { image.height * image.width * inChannels }
  var resultCount: Int { places.height * places.width * outChannels }
  var filterCount: Int { inChannels / groups * outChannels * window.kernel.height * window.kernel.width }

  var kernelForm: ck_window { window.kernelForm(over: image, places: places) }

  /// How many images are computed at a time. It depends on the sizes alone, so that results do not depend on the
  /// number of threads: up to sixteen pieces, none smaller than what is worth a thread, and few where the filters are
  /// so large that a gradient for each piece would take too much memory.
  ///
  /// - Parameter worth: how many products are worth a thread.
  func piece(worth: Int) -> Int {
    let perImage = max(1, places.height * places.width * filterCount)
    let worthwhile = (worth + perImage - 1) / perImage
    let pieces = max(2, min(16, (64 << 20) / max(1, filterCount * 4)))
    let images = max(1, worthwhile, (batch + pieces - 1) / pieces)
    return (images + unit - 1) / unit * unit
  }

  /// How many images the gradient of the filters is computed from in one run; a piece is some of these. A library sums
  /// over all pixels of a run one after the other: some hundreds keep the error of the sum small.
  var unit: Int { max(1, min(batch, 512 / max(1, places.height * places.width))) }

  /// The same convolution over other images.
  func with(batch: Int) -> ConvolutionShape {
    var copy = self
    copy.batch = batch
    return copy
  }
}
