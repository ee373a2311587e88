public import Checkpoint
internal import Kernels

extension Trainer {
  /// What a model is worth on a data set.
  public struct Evaluation: Sendable, Equatable {
    /// The mean of the loss over the samples.
    public var loss: Double
    /// The part of the labels, 0 to 1, that the model gives the largest output; nil where targets are no labels.
    public var accuracy: Double?
  }

  /// Looks at a data set once, in its order, without dropout and without gradients.
  ///
  /// - Throws: what the data set and the model throw.
  public func evaluate(_ dataset: any Dataset) throws(CheckpointError) -> Evaluation {
    model.eval()
    defer { model.train() }
    return try withoutGradients { () throws(CheckpointError) in
      var order = try dataset.sampler(batch: sampler.batch, shuffle: false, seed: 0)
      var (loss, samples, right, labels) = (0.0, 0, 0, 0)
      for _ in 0..<order.batchesPerEpoch {
        let batch = try dataset.batch(order.next())
        let output = try model(batch.inputs)
        loss += Double(try self.loss(output, batch.targets).item()) * Double(batch.samples)
        samples += batch.samples
        let hits = try Self.hits(output, batch.targets)
        (right, labels) = (right + hits.right, labels + hits.labels)
      }
      return Evaluation(
        loss: loss / Double(samples), accuracy: labels > 0 ? Double(right) / Double(labels) : nil)
    }
  }

  private static func hits(
    _ output: Variable, _ target: Variable
  ) throws(CheckpointError) -> (right: Int, labels: Int) {
    guard target.dtype == .int64, let classes = output.shape.last, classes > 0,
      output.shape.dropLast().elementsEqual(target.shape)
    else { return (0, 0) }
    let output = try output.contiguous()
    var labels = 0
    let right = ck_count_right(output.storage.floats, target.storage.integers, target.count, classes, &labels)
    return (right, labels)
  }
}
