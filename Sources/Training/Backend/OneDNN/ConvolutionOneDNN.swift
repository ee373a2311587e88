#if OneDNN
  internal import COneDNN
  internal import Checkpoint
  internal import Kernels

  /// A pass that oneDNN runs.
  final class OneDNNConvolution: ConvolutionPass {
    private let pass: UnsafeMutablePointer<ck_conv_pass>
    let filterBytes: Int
    let scratchBytes: Int

    /// nil where oneDNN has none for the shape.
    init?(_ kind: ConvolutionKind, _ shape: ConvolutionShape) {
      ck_openmp_alone()
      let window = shape.window
      var form = ck_conv_shape(
        batch: Int64(shape.batch), groups: Int64(shape.groups), in_channels: Int64(shape.inChannels),
        out_channels: Int64(shape.outChannels), height: Int64(shape.image.height), width: Int64(shape.image.width),
        out_height: Int64(shape.places.height), out_width: Int64(shape.places.width),
        kernel: (Int64(window.kernel.height), Int64(window.kernel.width)),
        stride: (Int64(window.stride.height), Int64(window.stride.width)),
        padding: (Int64(window.padding.height), Int64(window.padding.width)),
        dilation: (Int64(window.dilation.height), Int64(window.dilation.width)), bias: shape.hasBias ? 1 : 0)
      let name =
        switch kind {
        case .forward: ck_conv_forward
        case .backwardData: ck_conv_backward_data
        case .backwardWeights: ck_conv_backward_weights
        }
      guard let pass = ck_conv_create(&form, name) else { return nil }
      self.pass = pass
      filterBytes = ck_conv_filter_bytes(pass)
      scratchBytes = ck_conv_scratch_bytes(pass)
    }

    deinit { ck_conv_free(pass) }

    func reorder(_ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>) throws(CheckpointError) {
      ck_openmp_alone()
      try check(ck_conv_reorder_filters(pass, from, to))
    }

    func run(
      images: UnsafeMutablePointer<Float>, filters: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?,
      results: UnsafeMutablePointer<Float>, scratch: UnsafeMutableRawPointer
    ) throws(CheckpointError) {
      ck_openmp_alone()
      try check(ck_conv_run(pass, images, filters, bias, results, scratch))
    }

    private func check(_ status: Int32) throws(CheckpointError) {
      if status == 0 { return }
      let name = String(cString: ck_conv_status_name(status))
      throw CheckpointError(.inputOutput, "oneDNN could not compute a convolution: status \(status), \(name)")
    }
  }
#endif
