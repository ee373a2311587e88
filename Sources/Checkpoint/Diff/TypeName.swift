extension Dict.Kind {
  /// The kind as Python names it.
  public var name: String {
    switch self {
    case .plain: "dict"
    case .ordered: "OrderedDict"
    case .counter: "Counter"
    case .defaultDict(let factory): factory.isEmpty ? "defaultdict" : "defaultdict(\(factory))"
    }
  }
}

extension Tensor {
  /// What the tensor is to its module, and whether it asks for gradients where that is not the rule.
  var typeName: String {
    let name =
      switch kind {
      case .tensor: "Tensor"
      case .parameter: "Parameter"
      case .buffer(persistent: true): "Buffer"
      case .buffer(persistent: false): "Buffer(persistent=False)"
      }
    // Parameters ask for gradients unless they are frozen, everything else the other way round.
    return requiresGrad == (kind == .parameter) ? name : "\(name), requires_grad=\(requiresGrad ? "True" : "False")"
  }
}

extension Value {
  /// The type as a user of Python would call it: `int`, `list`, `OrderedDict`, `Tensor`.
  public var typeName: String {
    switch self {
    case .none: "None"
    case .bool: "bool"
    case .int, .bigInt: "int"
    case .double: "float"
    case .complex: "complex"
    case .string, .surrogateString: "str"
    case .bytes: "bytes"
    case .byteArray: "bytearray"
    case .sequence(let kind, _): kind.rawValue
    case .dict(let dict): dict.kind.name
    case .tensor(let tensor): tensor.typeName
    case .size: "torch.Size"
    case .token(let kind, _): kind.rawValue
    case .record(let record): record.type
    }
  }

  /// A plain number as a double.
  var number: Double? {
    switch self {
    case .int(let number): Double(number)
    case .double(let number): number
    default: nil
    }
  }

  /// Whether two values that hold no others are the same: text by bytes, floats by bits.
  func hasSameScalar(as other: Value) -> Bool {
    switch (self, other) {
    case (.none, .none): true
    case (.bool(let x), .bool(let y)): x == y
    case (.int(let x), .int(let y)): x == y
    case (.bigInt(let x), .bigInt(let y)): x == y
    case (.double(let x), .double(let y)): x.bitPattern == y.bitPattern
    case (.complex(let a, let b), .complex(let x, let y)): a.bitPattern == x.bitPattern && b.bitPattern == y.bitPattern
    case (.string(let x), .string(let y)): x.hasSameBytes(as: y)
    case (.surrogateString(let x), .surrogateString(let y)): x == y
    case (.bytes(let x), .bytes(let y)), (.byteArray(let x), .byteArray(let y)): x == y
    case (.size(let x), .size(let y)): x == y
    case (.token(let k, let x), .token(let l, let y)): k == l && x.hasSameBytes(as: y)
    default: false
    }
  }
}
