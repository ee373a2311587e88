import Checkpoint
import HDF5

/// The names that the format puts into a file. `spec/` is the norm.
enum Vocabulary {
  static let format = "ckpt"
  static let version = "1.0"
  /// The major version that this reader knows.
  static let major = "1"
  /// Features that a file may require of its reader; none are defined in 1.0.
  static let knownFeatures: Set<String> = []
  static let manifest = "manifest"

  // Attributes of the root.
  static let formatAttribute = "format"
  static let versionAttribute = "format_version"
  static let producer = "producer"
  static let root = "root"
  static let requiredFeatures = "required_features"
  static let contentDigest = "content_digest"

  // Attributes of any node.
  static let encodingType = "encoding-type"
  static let encodingVersion = "encoding-version"
  static let dtype = "dtype"
  static let kind = "kind"
  static let requiresGrad = "requires_grad"
  static let shape = "shape"
  static let keys = "keys"
  static let order = "order"
  static let factory = "factory"
  static let attributes = "attributes"
  static let recordType = "type"
  static let target = "target"

  /// Attribute names that an optimizer's group cannot use for its own values.
  static let reservedInGroup: Set<String> = [encodingType, encodingVersion, order]

  /// Nothing in a file lies deeper than this many groups below the root.
  static let maximumDepth = 64
  /// HDF5 has no more dimensions.
  static let maximumRank = 32
  /// More objects than any real file has.
  static let maximumObjects = 4_000_000
  /// No value that is no tensor is larger; a file that says so is not read into memory.
  static let maximumValueBytes = 1 << 30
  static let maximumAttributeBytes = 16 << 20
  /// Packed JSON has no more arrays and objects inside each other.
  static let maximumNesting = 255
  /// A longer link name cannot be stored.
  static let maximumNameBytes = 60_000
  /// A tensor-free container with more direct children than this is packed into one JSON dataset.
  static let maximumUnpackedChildren = 128
}

/// What a group or a dataset that is no plain tensor says it is.
enum Encoding: String {
  case none, bool, int, float, complex, string, bytes, bytearray, list, tuple, set, frozenset, dict, record, alias
  case bigInt = "big-int"
  case size = "torch.Size"
  case json
  case optimizer
  case parameterGroup = "param-group"
  /// A column of the optimizer or the list of a group's members: not a value of its own.
  case column
  case manifest
  case dtype = "torch.dtype"
  case device = "torch.device"
  case layout = "torch.layout"
  case qscheme = "torch.qscheme"
  case global = "python.global"
}

/// How each element type is stored. `float8` and the packed types lie there as bytes; the `dtype` attribute names them.
enum StorageType {
  /// The HDF5 type, and whether its elements are the tensor's (else they are bytes of it).
  static func of(_ dtype: DType) -> (type: Datatype, isElement: Bool) {
    switch dtype {
    case .float64: (.float64, true)
    case .float32: (.float32, true)
    case .float16: (.float16, true)
    case .bfloat16: (.bfloat16, true)
    case .int64: (.int64, true)
    case .int32, .qint32: (.int32, true)
    case .int16: (.int16, true)
    case .int8, .qint8: (.int8, true)
    case .uint64: (.uint64, true)
    case .uint32: (.uint32, true)
    case .uint16, .bits16: (.uint16, true)
    case .bool: (.bool, true)
    case .complex128: (.complex128, true)
    case .complex64: (.complex64, true)
    case .complex32: (.complex(.float16), true)
    default: (.uint8, dtype.bitWidth == 8)
    }
  }

  /// The dimensions of the dataset that holds a tensor.
  static func shape(of tensor: Tensor) -> Shape {
    guard of(tensor.dtype).isElement else { return .simple([tensor.byteCount]) }
    return tensor.shape.isEmpty ? .scalar : .simple(tensor.shape)
  }
}

extension CheckpointError {
  /// An HDF5 failure in the words of a checkpoint.
  init(_ error: HDF5Error) {
    let code: Code =
      switch error.kind {
      case .notFound where error.path == "/": .missing
      case .unsupported: .unsupported
      case .inputOutput, .noSpace: .inputOutput
      default: .damaged
      }
    let place = error.path == "/" || error.path.isEmpty ? nil : error.path
    let advice = error.kind == .truncated ? "The file was cut short; get a whole copy." : nil
    self.init(code, "cannot \(error.operation): \(error.reason)", file: error.file, place: place, advice: advice)
  }
}

extension File {
  /// `close` with our error: a noncopyable file cannot be consumed inside a closure.
  consuming func closeChecked() throws(CheckpointError) {
    do throws(HDF5Error) { try close() } catch { throw CheckpointError(error) }
  }
}

/// Runs HDF5 calls and turns their error into ours.
func hdf5<T: ~Copyable>(_ body: () throws(HDF5Error) -> T) throws(CheckpointError) -> T {
  do throws(HDF5Error) { return try body() } catch { throw CheckpointError(error) }
}
