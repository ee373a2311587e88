internal import Checkpoint
internal import Kernels

/// The sizes of a pooling.
struct PoolingShape {
  let batch: Int
  let channels: Int
  let image: Pair
  let places: Pair
  let window: ConvolutionWindow

  /// - Throws: `usage` when the sizes do not fit together; the message names them.
  init(_ owner: String, input: [Int], window: ConvolutionWindow) throws(CheckpointError) {
    guard input.count == 4 else {
      throw CheckpointError(.usage, "\(owner): input of shape \(input), where [N, C, H, W] is due")
    }
    try window.check(owner)
    guard window.padding.height * 2 <= window.kernel.height, window.padding.width * 2 <= window.kernel.width else {
      throw CheckpointError(
        .usage, "\(owner): padding \(window.padding) is more than half of the kernel's size \(window.kernel)")
    }
    guard window.kernel.height * window.kernel.width <= 1 << 16 else {
      throw CheckpointError(.unsupported, "\(owner): a kernel of \(window.kernel) has more than 65536 elements")
    }
    batch = input[0]
    channels = input[1]
    image = Pair(input[2], input[3])
    places = try window.places(over: image, owner)
    self.window = window
  }

  /// The result's shape.
  var output: [Int] { [batch, channels, places.height, places.width] }

  /// Elements of one image and of its result.
  var imageCount: Int { image.height * image.width * channels }
  var resultCount: Int { places.height * places.width * channels }

  /// How many bytes a place in the window takes.
  var placeBytes: Int { window.kernel.height * window.kernel.width <= 256 ? 1 : 2 }

  /// How many images are computed at a time.
  private var piece: Int { max(1, (1 << 16) / max(1, imageCount), (batch + 63) / 64) }

  /// Calls `body` with the images of each piece.
  func inPieces(_ body: (_ first: Int, _ count: Int) -> Void) throws(CheckpointError) {
    try Training.inPieces((batch + piece - 1) / piece) { index in
      body(index * piece, min(piece, batch - index * piece))
    }
  }

  var kernelForm: ck_window { window.kernelForm(over: image, places: places) }

  /// The largest of each window of some images, N, H, W, C.
  func forward(
    _ images: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ maxima: UnsafeMutableRawPointer
  ) {
    var form = kernelForm
    ck_max_pool(&form, images, channels, x, y, maxima, Int32(placeBytes))
  }

  /// Its gradient, and with `result` that of a ReLU after it.
  func backward(
    _ images: Int, _ gradient: UnsafePointer<Float>, _ maxima: UnsafeRawPointer, result: UnsafePointer<Float>?,
    _ target: UnsafeMutablePointer<Float>, accumulates: Bool
  ) {
    var form = kernelForm
    ck_max_pool_backward(
      &form, images, channels, gradient, maxima, Int32(placeBytes), result, target, accumulates ? 1 : 0)
  }
}
