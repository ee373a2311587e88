/// A tensor whose elements are stored in quantised blocks, as GGUF has them: a view of the record `gguf.blocks`.
public struct BlockTensor: Sendable {
  public static let recordType = "gguf.blocks"

  /// The block format's name: `Q4_K`.
  public let type: String
  /// Sizes in elements.
  public let shape: [Int]
  /// The blocks' bytes, row by row.
  public let blocks: Tensor

  /// The lens on a value; nil where it is no such record.
  public init?(_ value: Value) {
    guard case .record(let record) = value, record.type.hasSameBytes(as: Self.recordType),
      case .string(let type)? = record["type"], case .size(let sizes)? = record["shape"],
      case .tensor(let blocks)? = record["blocks"]
    else { return nil }
    let shape = sizes.compactMap { Int(exactly: $0) }
    // No format takes less than an eighth of a bit for an element: what claims more is no such record.
    guard shape.count == sizes.count, let count = elementCount(of: shape), count / 64 <= blocks.byteCount else {
      return nil
    }
    (self.type, self.shape, self.blocks) = (type, shape, blocks)
  }

  /// The record.
  public var value: Value {
    .record(
      Record(
        Self.recordType,
        [
          Record.Field("type", .string(type)), Record.Field("shape", .size(shape.map(Int64.init))),
          Record.Field("blocks", .tensor(blocks)),
        ]))
  }

  public init(type: String, shape: [Int], blocks: Tensor) {
    (self.type, self.shape, self.blocks) = (type, shape, blocks)
  }

  /// How many elements there are.
  public var count: Int { elementCount(of: shape) ?? 0 }
}
