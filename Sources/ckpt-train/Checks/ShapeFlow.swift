/// The shape of one sample on its way through the layers, as far as it is known: the batch's dimension is left out.
///
/// Before the data are opened a model's input is unknown, yet much can be told: a linear layer gives a known last
/// dimension whatever comes in.
enum ShapeFlow: Equatable, CustomStringConvertible {
  case unknown
  /// Any number of dimensions, the last of which is this.
  case last(Int)
  /// The dimensions; nil where one is unknown.
  case sizes([Int?])

  /// The last dimension; nil where it is unknown.
  var lastSize: Int? {
    switch self {
    case .unknown: nil
    case .last(let size): size
    case .sizes(let sizes): sizes.last ?? nil
    }
  }

  /// How many dimensions there are; nil where that is unknown.
  var rank: Int? {
    if case .sizes(let sizes) = self { sizes.count } else { nil }
  }

  /// The same with another last dimension.
  func replacingLast(_ size: Int) -> ShapeFlow {
    guard case .sizes(let sizes) = self, !sizes.isEmpty else { return .last(size) }
    return .sizes(sizes.dropLast() + [size])
  }

  /// Whether both may be the same shape.
  func fits(_ other: ShapeFlow) -> Bool {
    switch (self, other) {
    case (.unknown, _), (_, .unknown): true
    case (.sizes(let a), .sizes(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0 == nil || $1 == nil || $0 == $1 }
    default: lastSize == nil || other.lastSize == nil || lastSize == other.lastSize
    }
  }

  /// `[N, 784]`, as PyTorch writes shapes: N for the batch, ? for what is unknown.
  var description: String {
    switch self {
    case .unknown: "[N, …]"
    case .last(let size): "[N, …, \(size)]"
    case .sizes(let sizes): "[\((["N"] + sizes.map { $0.map(String.init) ?? "?" }).joined(separator: ", "))]"
    }
  }
}
