internal import Checkpoint
internal import Kernels

/// A pass by matrix products: what each result sees becomes a row. Works for every shape, with any library that
/// multiplies matrices.
final class MatrixConvolution: ConvolutionPass {
  private let kind: ConvolutionKind
  private let shape: ConvolutionShape

  init(_ kind: ConvolutionKind, _ shape: ConvolutionShape) {
    self.kind = kind
    self.shape = shape
  }

  private var inputs: Int { shape.inChannels / shape.groups }
  private var outputs: Int { shape.outChannels / shape.groups }
  private var kernel: Int { shape.window.kernel.height * shape.window.kernel.width }
  private var pixels: Int { shape.places.height * shape.places.width }
  /// How long a row is.
  private var seen: Int { kernel * inputs }

  var filterBytes: Int { shape.filterCount * 4 }
  var scratchBytes: Int { pixels * seen * 4 }

  /// The order here is (group, kernel row, kernel column, input, output), PyTorch's is (group, output, input, row,
  /// column).
  func reorder(_ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>) {
    for group in 0..<shape.groups {
      for output in 0..<outputs {
        for input in 0..<inputs {
          for place in 0..<kernel {
            let theirs = ((group * outputs + output) * inputs + input) * kernel + place
            let ours = ((group * kernel + place) * inputs + input) * outputs + output
            if kind == .backwardWeights { to[theirs] = from[ours] } else { to[ours] = from[theirs] }
          }
        }
      }
    }
  }

  func run(
    images: UnsafeMutablePointer<Float>, filters: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?,
    results: UnsafeMutablePointer<Float>, scratch: UnsafeMutableRawPointer
  ) {
    let rows = scratch.assumingMemoryBound(to: Float.self)
    switch kind {
    case .forward: ck_fill_rows(results, bias, shape.batch * pixels, shape.outChannels)
    case .backwardData: images.update(repeating: 0, count: shape.batch * shape.imageCount)
    case .backwardWeights: filters.update(repeating: 0, count: shape.filterCount)
    }
    for image in 0..<shape.batch {
      for group in 0..<shape.groups {
        run(
          group, images: images + image * shape.imageCount, filters: filters + group * seen * outputs,
          results: results + image * shape.resultCount + group * outputs, rows: rows)
      }
    }
  }

  /// One group of one image.
  private func run(
    _ group: Int, images: UnsafeMutablePointer<Float>, filters: UnsafeMutablePointer<Float>,
    results: UnsafeMutablePointer<Float>, rows: UnsafeMutablePointer<Float>
  ) {
    var form = shape.kernelForm
    let first = group * inputs
    let width = shape.outChannels
    switch kind {
    case .forward:
      ck_im2col(&form, shape.inChannels, first, inputs, images, rows)
      product(false, false, pixels, outputs, seen, rows, seen, filters, outputs, results, width, adds: true)
    case .backwardData:
      product(false, true, pixels, seen, outputs, results, width, filters, outputs, rows, seen, adds: false)
      ck_col2im(&form, shape.inChannels, first, inputs, rows, images)
    case .backwardWeights:
      ck_im2col(&form, shape.inChannels, first, inputs, images, rows)
      product(true, false, seen, outputs, pixels, rows, seen, results, width, filters, outputs, adds: true)
    }
  }
}
