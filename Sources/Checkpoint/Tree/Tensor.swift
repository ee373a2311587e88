/// A dense tensor: its element type, its shape, and where its bytes come from. Nothing is read until asked for.
public struct Tensor: Sendable {
  /// What the tensor is to the module that owns it.
  public enum Kind: Sendable, Equatable {
    /// A plain tensor, as a state dict holds them.
    case tensor
    /// `torch.nn.Parameter`.
    case parameter
    /// `torch.nn.Buffer`; a buffer that is not persistent is left out of state dicts.
    case buffer(persistent: Bool)
  }

  // The small ones last: ten thousand tensors without holes between their fields are a fifth of a megabyte less.
  /// Sizes of the dimensions, slowest first; empty for a scalar.
  public let shape: [Int]
  /// The bytes: row-major, little-endian, without gaps.
  public let source: any ByteSource
  /// The digest that the file records for these bytes, where it does. A claim to be checked, not a fact.
  public var recordedDigest: Digest?
  public let dtype: DType
  public var kind: Kind
  public var requiresGrad: Bool

  /// - Throws: `damaged` when the source does not have exactly the bytes that the type and shape take.
  public init(
    dtype: DType, shape: [Int], source: any ByteSource, kind: Kind = .tensor, requiresGrad: Bool = false,
    recordedDigest: Digest? = nil
  ) throws(CheckpointError) {
    guard let expected = dtype.byteCount(of: shape) else {
      throw CheckpointError(.damaged, "shape \(shape) of \(dtype.rawValue) is negative or too large")
    }
    guard expected == source.byteCount else {
      throw CheckpointError(
        .damaged, "shape \(shape) of \(dtype.rawValue) takes \(expected) bytes, found \(source.byteCount)")
    }
    self.dtype = dtype
    self.shape = shape
    self.source = source
    self.kind = kind
    self.requiresGrad = requiresGrad
    self.recordedDigest = recordedDigest
  }

  /// How many elements there are.
  public var count: Int { shape.reduce(1, *) }

  /// How many bytes they take.
  public var byteCount: Int { source.byteCount }

  /// Whether both share one storage: the same bytes in the same place, not merely equal ones.
  public func isTied(to other: Tensor) -> Bool {
    source === other.source && dtype == other.dtype && shape == other.shape && byteCount > 0
  }

  /// The elements as numbers of a Swift type of the same width. For small tensors: the result is a copy.
  ///
  /// - Throws: `usage` when `Element` has another width than `dtype`, and what the source throws.
  public func elements<Element: BitwiseCopyable>(as type: Element.Type) throws(CheckpointError) -> [Element] {
    guard dtype.itemSize == MemoryLayout<Element>.size else {
      throw CheckpointError(.usage, "\(dtype.rawValue) read as \(Element.self), which has another width")
    }
    var result: [Element] = []
    try source.withBytes { (bytes) throws(CheckpointError) in
      result.reserveCapacity(count)
      for index in 0..<count {
        result.append(bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Element>.size, as: Element.self))
      }
    }
    return result
  }
}
