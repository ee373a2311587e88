internal import Checkpoint

/// What a run has measured, one row for each logged step. Nothing in it depends on the clock.
public struct Metrics: Sendable {
  public struct Row: Sendable, Equatable {
    public var step: Int
    /// Epochs gone by, with decimals.
    public var epoch: Double
    /// The loss of the step's batch, before the update.
    public var loss: Double
    public var learningRate: Double
    /// The norm of the gradient before clipping; NaN where nobody computed it.
    public var gradNorm: Double
    /// NaN for a step without evaluation.
    public var validationLoss: Double
  }

  public private(set) var rows: [Row] = []

  public init() {}

  mutating func append(_ row: Row) { rows.append(row) }

  /// The columns as plain one-dimensional tensors.
  var value: Value {
    get throws(CheckpointError) {
      let columns: [(String, Tensor)] = [
        (
          "step",
          try Tensor(dtype: .int64, shape: [rows.count], source: BufferSource(elements: rows.map { Int64($0.step) }))
        ),
        ("epoch", try column(\.epoch)), ("loss", try column(\.loss)), ("lr", try column(\.learningRate)),
        ("grad_norm", try column(\.gradNorm)), ("val_loss", try column(\.validationLoss)),
      ]
      return .dict(Dict(columns.map { Dict.Entry(.string($0.0), .tensor($0.1)) }))
    }
  }

  private func column(_ path: KeyPath<Row, Double>) throws(CheckpointError) -> Tensor {
    var values: [Double] = []
    values.reserveCapacity(rows.count)
    for row in rows { values.append(row[keyPath: path]) }
    return try Tensor(dtype: .float64, shape: [rows.count], source: BufferSource(elements: values))
  }

  /// - Throws: `damaged` where a column is missing, or they are not of one length.
  init(_ value: Value?) throws(CheckpointError) {
    guard let value else { return }
    let fields = try RunFields(value, at: "training.metrics")
    let steps = try fields.column("step", .int64, as: Int64.self)
    let names = ["epoch", "loss", "lr", "grad_norm", "val_loss"]
    var columns: [[Double]] = []
    for name in names {
      let column = try fields.column(name, .float64, as: Double.self)
      guard column.count == steps.count else {
        throw CheckpointError(
          .damaged, "\(column.count) rows where the column step has \(steps.count)", place: "training.metrics.\(name)")
      }
      columns.append(column)
    }
    for (index, step) in steps.enumerated() {
      guard let step = Int(exactly: step) else {
        throw CheckpointError(.damaged, "no step: \(step)", place: "training.metrics.step[\(index)]")
      }
      rows.append(
        Row(
          step: step, epoch: columns[0][index], loss: columns[1][index], learningRate: columns[2][index],
          gradNorm: columns[3][index], validationLoss: columns[4][index]))
    }
  }
}
