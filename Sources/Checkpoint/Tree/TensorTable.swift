/// The tensors of a tree in file order, each storage once.
public struct TensorTable: Sendable {
  /// Every distinct tensor, in the order in which the walk first meets it.
  public private(set) var tensors: [Tensor] = []
  /// Views of one source may differ in dtype and shape; tied are those that do not.
  private struct Identity: Hashable {
    var source: ObjectIdentifier
    var dtype: DType
    var shape: [Int]

    init(_ tensor: Tensor) {
      (source, dtype, shape) = (ObjectIdentifier(tensor.source), tensor.dtype, tensor.shape)
    }
  }

  private var numbers: [Identity: Int] = [:]

  public init() {}

  /// All tensors of `root`.
  public init(_ root: Value) {
    root.forEachTensor { insert($0) }
  }

  /// The tensor's number, and whether it is new: not tied to one met before. A tensor without bytes always is.
  @discardableResult
  public mutating func insert(_ tensor: Tensor) -> (index: Int, isNew: Bool) {
    if tensor.byteCount > 0 {
      let identity = Identity(tensor)
      if let known = numbers[identity] { return (known, false) }
      numbers[identity] = tensors.count
    }
    tensors.append(tensor)
    return (tensors.count - 1, true)
  }

  /// The number of a tensor that was inserted; nil for one without bytes.
  public func index(of tensor: Tensor) -> Int? { numbers[Identity(tensor)] }
}

extension Value {
  /// Calls `body` for every tensor below this value, in file order; a tied one each time it occurs.
  ///
  /// The recursion is as deep as the tree, which readers bound.
  public func forEachTensor(_ body: (Tensor) -> Void) {
    switch self {
    case .tensor(let tensor): body(tensor)
    case .sequence(_, let items): for item in items { item.forEachTensor(body) }
    case .dict(let dict):
      for entry in dict.entries { entry.value.forEachTensor(body) }
      for field in dict.attributes { field.value.forEachTensor(body) }
    case .record(let record): for field in record.fields { field.value.forEachTensor(body) }
    default: break
    }
  }
}
