import Checkpoint

/// What stands in the rest's tree in a tensor's place: `{"%tensor": "name"}`, and, where the file cannot say it,
/// `{"%tensor": ["name", {"dtype": …, "shape": …, "kind": …, "requires_grad": true, "also": …}]}`.
struct FlatReference {
  let name: String
  private(set) var dtype: DType?
  private(set) var shape: [Int]?
  private(set) var kind = Tensor.Kind.tensor
  private(set) var requiresGrad = false
  /// The name under which the file has this tensor once more, since it cannot say that two names share one.
  private(set) var also: String?

  init(_ name: String, of tensor: Tensor, storedAs stored: Tensor, also: String? = nil) {
    (self.name, self.also) = (name, also)
    if stored.dtype != tensor.dtype { dtype = tensor.dtype }
    if stored.shape != tensor.shape { shape = tensor.shape }
    kind = tensor.kind
    requiresGrad = tensor.requiresGrad
  }

  static func isOne(_ record: Record) -> Bool { record.type.hasSameBytes(as: PackedJSON.tensor) }

  var value: Value {
    var options: [Dict.Entry] = []
    if let dtype { options.append(Dict.Entry(.string("dtype"), .string(dtype.rawValue))) }
    if let shape {
      let sizes = shape.map { Value.int(Int64($0)) }
      options.append(Dict.Entry(.string("shape"), .sequence(.list, sizes)))
    }
    switch kind {
    case .tensor: break
    case .parameter: options.append(Dict.Entry(.string("kind"), .string("parameter")))
    case .buffer(persistent: true): options.append(Dict.Entry(.string("kind"), .string("buffer")))
    case .buffer(persistent: false): options.append(Dict.Entry(.string("kind"), .string("non-persistent-buffer")))
    }
    if let also { options.append(Dict.Entry(.string("also"), .string(also))) }
    if requiresGrad { options.append(Dict.Entry(.string("requires_grad"), .bool(true))) }
    let body: Value = options.isEmpty ? .string(name) : .sequence(.list, [.string(name), .dict(Dict(options))])
    return .record(Record(PackedJSON.tensor, [Record.Field("value", body)]))
  }

  /// - Throws: `damaged` for what no writer wrote.
  init(_ record: Record) throws(CheckpointError) {
    switch record["value"] {
    case .string(let name)?: self.name = name
    case .sequence(.list, let parts)?:
      guard parts.count == 2, case .string(let name) = parts[0], case .dict(let options) = parts[1] else {
        throw Self.malformed
      }
      self.name = name
      for entry in options.entries { try read(entry) }
    default: throw Self.malformed
    }
  }

  private mutating func read(_ entry: Dict.Entry) throws(CheckpointError) {
    switch (entry.key.text, entry.value) {
    case ("dtype", .string(let text)):
      guard let known = DType(rawValue: text) else {
        throw CheckpointError(.unsupported, "the element type '\(text)' is not known")
      }
      dtype = known
    case ("shape", .sequence(.list, let items)):
      let sizes = items.compactMap { if case .int(let size) = $0 { Int(size) } else { nil } }
      guard sizes.count == items.count else { throw Self.malformed }
      shape = sizes
    case ("kind", .string("parameter")): kind = .parameter
    case ("kind", .string("buffer")): kind = .buffer(persistent: true)
    case ("kind", .string("non-persistent-buffer")): kind = .buffer(persistent: false)
    case ("requires_grad", .bool(let flag)): requiresGrad = flag
    case ("also", .string(let name)): also = name
    default: throw Self.malformed
    }
  }

  private static var malformed: CheckpointError { CheckpointError(.damaged, "a tensor's place that says no name") }

  /// The tensor that is meant.
  ///
  /// - Throws: `damaged` when the file's tensor has not the bytes that type and shape take.
  func tensor(from stored: Tensor) throws(CheckpointError) -> Tensor {
    try Tensor(
      dtype: dtype ?? stored.dtype, shape: shape ?? stored.shape, source: stored.source, kind: kind,
      requiresGrad: requiresGrad)
  }
}
