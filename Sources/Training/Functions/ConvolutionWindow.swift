internal import Checkpoint
internal import Kernels

/// A number for an image's height and one for its width: `3` is both, `Pair(3, 5)` says each.
public struct Pair: Hashable, Sendable, ExpressibleByIntegerLiteral, CustomStringConvertible {
  public var height: Int
  public var width: Int

  public init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }

  public init(_ both: Int) { self.init(both, both) }

  public init(integerLiteral both: Int) { self.init(both, both) }

  public var description: String { "(\(height), \(width))" }

  /// Whether both are from `range`.
  func lies(in range: ClosedRange<Int>) -> Bool { range.contains(height) && range.contains(width) }
}

/// How a window moves over an image.
struct ConvolutionWindow: Hashable, Sendable {
  var kernel: Pair
  var stride: Pair
  var padding: Pair
  var dilation: Pair = 1

  /// Far more than any image has, and small enough that sums of some products do not overflow.
  private static let largest = 1 << 20

  /// - Throws: `usage` when a number makes no sense.
  func check(_ owner: String) throws(CheckpointError) {
    func check(_ name: String, _ value: Pair, from smallest: Int) throws(CheckpointError) {
      guard value.lies(in: smallest...Self.largest) else {
        throw CheckpointError(
          .usage, "\(owner): \(name) \(value), where numbers from \(smallest) to \(Self.largest) are possible")
      }
    }
    try check("kernelSize", kernel, from: 1)
    try check("stride", stride, from: 1)
    try check("padding", padding, from: 0)
    try check("dilation", dilation, from: 1)
  }

  /// How many places the window has over an image.
  ///
  /// - Throws: `usage` when there is none.
  func places(over image: Pair, _ owner: String) throws(CheckpointError) -> Pair {
    let padded = Pair(image.height + 2 * padding.height, image.width + 2 * padding.width)
    let reach = Pair(dilation.height * (kernel.height - 1) + 1, dilation.width * (kernel.width - 1) + 1)
    guard reach.height <= padded.height, reach.width <= padded.width else {
      throw CheckpointError(
        .usage,
        "\(owner): a kernel of \(kernel)\(dilation == 1 ? "" : " with dilation \(dilation)") "
          + "does not fit into an image of \(image) with padding \(padding)")
    }
    return Pair(
      (padded.height - reach.height) / stride.height + 1, (padded.width - reach.width) / stride.width + 1)
  }

  /// As the kernels have it.
  func kernelForm(over image: Pair, places: Pair) -> ck_window {
    ck_window(
      height: image.height, width: image.width, out_height: places.height, out_width: places.width,
      kernel: (kernel.height, kernel.width), stride: (stride.height, stride.width),
      padding: (padding.height, padding.width), dilation: (dilation.height, dilation.width))
  }
}

/// The product of sizes.
///
/// - Throws: `usage` when no memory is as large as that many floats.
func elementCount(_ sizes: [Int], _ owner: String) throws(CheckpointError) -> Int {
  var product = 1
  for size in sizes {
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    guard !overflow, next <= Int.max / 8 else {
      throw CheckpointError(.usage, "\(owner): a result of shape \(sizes) is too large")
    }
    product = next
  }
  return product
}
