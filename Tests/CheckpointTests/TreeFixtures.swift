import Checkpoint

/// Trees made by hand, as PyTorch would have written them.
enum Make {
  static func tensor(
    _ shape: [Int] = [2], _ dtype: DType = .float32, fill: UInt8 = 0, kind: Tensor.Kind = .tensor
  ) throws -> Tensor {
    let count = dtype.byteCount(of: shape) ?? 0
    return try Tensor(
      dtype: dtype, shape: shape, source: BufferSource(Array(repeating: fill, count: count)), kind: kind)
  }

  static func floats(_ numbers: [Float], shape: [Int]? = nil) throws -> Tensor {
    try Tensor(dtype: .float32, shape: shape ?? [numbers.count], source: BufferSource(elements: numbers))
  }

  static func dict(_ pairs: KeyValuePairs<String, Value>) -> Value {
    .dict(Dict(pairs.map { Dict.Entry(.string($0.key), $0.value) }))
  }

  /// A state dict of zeros.
  static func model(_ shapes: KeyValuePairs<String, [Int]>) throws -> Value {
    .dict(
      Dict(
        try shapes.map { Dict.Entry(.string($0.key), .tensor(try tensor($0.value))) }, kind: .ordered,
        attributes: [Record.Field("_metadata", dict(["": dict(["version": .int(1)])]))]))
  }

  /// An Adam state: one group for each list of shapes; nil for a parameter without state.
  static func adam(_ groups: [[[Int]?]], step: Float = 7, flag: Value? = .bool(true)) throws -> Value {
    var state: [Dict.Entry] = []
    var list: [Value] = []
    var id: Int64 = 0
    for group in groups {
      var params: [Value] = []
      for shape in group {
        params.append(.int(id))
        if let shape {
          let slots = dict([
            "step": .tensor(try floats([step], shape: [])), "exp_avg": .tensor(try tensor(shape)),
            "exp_avg_sq": .tensor(try tensor(shape)),
          ])
          state.append(Dict.Entry(.int(id), slots))
        }
        id += 1
      }
      list.append(adamGroup(params, flag: flag))
    }
    return dict(["state": .dict(Dict(state)), "param_groups": .sequence(.list, list)])
  }

  private static func adamGroup(_ params: [Value], flag: Value?) -> Value {
    var entries: [(String, Value)] = [
      ("lr", .double(0.001)), ("betas", .sequence(.tuple, [.double(0.9), .double(0.999)])), ("eps", .double(1e-8)),
      ("weight_decay", .double(0.01)), ("amsgrad", .bool(false)),
    ]
    if let flag { entries.append(("decoupled_weight_decay", flag)) }
    entries.append(("params", .sequence(.list, params)))
    return .dict(Dict(entries.map { Dict.Entry(.string($0.0), $0.1) }))
  }
}

extension Value {
  var tensorValue: Tensor? { if case .tensor(let tensor) = self { tensor } else { nil } }
  var dictValue: Dict? { if case .dict(let dict) = self { dict } else { nil } }

  /// What lies at a path that is known to be there.
  func at(_ text: String) throws -> Value? { self[try find(text)] }
}
