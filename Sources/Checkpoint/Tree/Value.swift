/// A checkpoint is a typed, ordered tree of these. Whatever a PyTorch file holds has a place in it.
public enum Value: Sendable {
  case none
  case bool(Bool)
  case int(Int64)
  /// An integer outside 64 bits.
  case bigInt(BigInt)
  case double(Double)
  case complex(Double, Double)
  case string(String)
  /// A Python string with lone surrogates, which Unicode text cannot hold: its bytes as `surrogatepass` writes them.
  case surrogateString([UInt8])
  case bytes([UInt8])
  case byteArray([UInt8])
  case sequence(Sequence, [Value])
  case dict(Dict)
  indirect case tensor(Tensor)
  /// `torch.Size`.
  case size([Int64])
  /// A name that stands for a thing: a dtype, a device, a class.
  case token(Token, String)
  /// Anything else, kept as named fields: a sparse tensor, a NumPy array, an object of an unknown class.
  indirect case record(Record)

  public enum Sequence: String, Sendable, CaseIterable {
    case list, tuple, set, frozenset
  }

  public enum Token: String, Sendable, CaseIterable {
    /// `torch.float32` and the like; the text is the name without `torch.`.
    case dtype = "torch.dtype"
    /// `cpu`, `cuda:0`.
    case device = "torch.device"
    /// `strided`, `sparse_coo`.
    case layout = "torch.layout"
    /// `per_tensor_affine`.
    case qscheme = "torch.qscheme"
    /// A class or function named, not called: `module.name`.
    case global = "python.global"
  }
}

/// A thing that is no plain container: its type's name and its parts.
public struct Record: Sendable {
  /// One part of a record.
  public struct Field: Sendable {
    public var name: String
    public var value: Value

    public init(_ name: String, _ value: Value) {
      self.name = name
      self.value = value
    }
  }

  /// `torch.sparse`, `torch.quantized`, `numpy.ndarray`, `python.object`, …; the format's `spec/` lists them.
  public var type: String
  public var fields: [Field]

  public init(_ type: String, _ fields: [Field]) {
    self.type = type
    self.fields = fields
  }

  public subscript(name: String) -> Value? { fields.first { $0.name.hasSameBytes(as: name) }?.value }

  /// Whether a field stands for the whole record: what lies in it has the path that it would have without the record.
  /// So an object's attributes are found under their names, and a NumPy array where the array is.
  func isTransparent(_ field: String) -> Bool {
    switch type {
    case "torch.tensor_with_attributes", "torch.device_tensor": field == "tensor"
    case "numpy.ndarray": field == "array"
    case "gguf.blocks": field == "blocks"
    case "python.object", "python.reduce": field == "state" || field == "pairs" || field == "items"
    case "torch.module", "torch.wrapper_subclass": field == "state"
    default: false
    }
  }
}
