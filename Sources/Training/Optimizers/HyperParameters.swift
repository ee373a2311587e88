internal import Checkpoint

/// What tells one algorithm from another where its state is written and read.
protocol HyperParameters: Sendable {
  var lr: Double { get set }

  /// PyTorch's names of the slots, in the order of the kernels and of its state.
  static var slotNames: [String] { get }
  /// Whether the state has `step`.
  static var keepsStep: Bool { get }

  /// Whether these options ask for the slot with this number.
  func needs(slot: Int) -> Bool

  /// - Throws: `usage` naming the value that makes no sense.
  func check() throws(CheckpointError)

  /// The group's entries in PyTorch's order, without `params` and `param_names`.
  var entries: [Dict.Entry] { get }

  /// Takes the values over that a stored group has; what it does not have stays.
  mutating func take(from group: StoredOptions) throws(CheckpointError)
}

extension HyperParameters {
  /// PyTorch asks that hyper-parameters are not negative; NaN is caught as well.
  static func check(_ name: String, _ value: Double, below limit: Double = .infinity) throws(CheckpointError) {
    guard value >= 0, value < limit else {
      throw CheckpointError(
        .usage, "\(name) is \(value); it must be 0 or more" + (limit < .infinity ? " and less than \(limit)" : ""))
    }
  }
}

extension Dict.Entry {
  init(_ name: String, _ value: Value) { self.init(.string(name), value) }
}
