import Checkpoint

/// The types of metadata values, by their numbers in the file.
enum GGUFValueType: UInt32, CaseIterable {
  case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

  /// `u32`, `f64`: the word in the tree's list of types.
  var name: String {
    switch self {
    case .uint8: "u8"
    case .int8: "i8"
    case .uint16: "u16"
    case .int16: "i16"
    case .uint32: "u32"
    case .int32: "i32"
    case .uint64: "u64"
    case .int64: "i64"
    case .float32: "f32"
    case .float64: "f64"
    case .bool: "bool"
    case .string: "str"
    case .array: "arr"
    }
  }

  /// The type of that name.
  init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.name.hasSameBytes(as: name) }) else { return nil }
    self = found
  }

  /// The element type of an array of these; nil for what is no number and no bool.
  var dtype: DType? {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .uint32: .uint32
    case .int32: .int32
    case .uint64: .uint64
    case .int64: .int64
    case .float32: .float32
    case .float64: .float64
    case .bool: .bool
    case .string, .array: nil
    }
  }

  /// Bytes that the shortest value takes.
  var minimumSize: Int {
    switch self {
    case .string: 8
    case .array: 12
    default: dtype?.itemSize ?? 1
    }
  }
}

/// How the elements of a tensor are stored, by `ggml`'s numbers.
struct GGUFTensorType: Sendable {
  let code: UInt32
  let name: String
  /// Elements of a row that are stored together; 1 for plain types.
  let blockElements: Int
  let blockBytes: Int
  /// The element type of a plain type; nil for blocks.
  var dtype: DType?
  /// Whether the blocks can be decoded here.
  var isDecoded = false

  /// Bytes that a tensor takes; nil where that overflows or the rows are no whole blocks.
  func byteCount(of shape: [Int]) -> Int? {
    guard let count = elementCount(of: shape), (shape.last ?? 1) % blockElements == 0 else { return nil }
    let (bytes, overflow) = (count / blockElements).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }

  /// The shape of the blocks' bytes: rows of bytes instead of rows of elements.
  func byteShape(of shape: [Int]) -> [Int] {
    guard let last = shape.last else { return [blockBytes] }
    return shape.dropLast() + [last / blockElements * blockBytes]
  }

  static func of(code: UInt32) -> GGUFTensorType? { all.first { $0.code == code } }
  static func named(_ name: String) -> GGUFTensorType? { all.first { $0.name.hasSameBytes(as: name) } }
  /// The plain type of an element type; nil where there is none.
  static func plain(_ dtype: DType) -> GGUFTensorType? { all.first { $0.dtype == dtype } }

  private static func plain(_ code: UInt32, _ name: String, _ dtype: DType) -> GGUFTensorType {
    GGUFTensorType(
      code: code, name: name, blockElements: 1, blockBytes: dtype.itemSize ?? 1, dtype: dtype)
  }

  private static func blocks(
    _ code: UInt32, _ name: String, _ elements: Int, _ bytes: Int, decoded: Bool = false
  ) -> GGUFTensorType {
    GGUFTensorType(code: code, name: name, blockElements: elements, blockBytes: bytes, isDecoded: decoded)
  }

  /// Those of `ggml` that a file may hold. Numbers that are missing were removed, or (Q8_1) never stand in files.
  static let all: [GGUFTensorType] = [
    plain(0, "F32", .float32), plain(1, "F16", .float16), plain(24, "I8", .int8), plain(25, "I16", .int16),
    plain(26, "I32", .int32), plain(27, "I64", .int64), plain(28, "F64", .float64), plain(30, "BF16", .bfloat16),
    blocks(2, "Q4_0", 32, 18, decoded: true), blocks(3, "Q4_1", 32, 20, decoded: true),
    blocks(6, "Q5_0", 32, 22, decoded: true), blocks(7, "Q5_1", 32, 24, decoded: true),
    blocks(8, "Q8_0", 32, 34, decoded: true), blocks(10, "Q2_K", 256, 84, decoded: true),
    blocks(11, "Q3_K", 256, 110, decoded: true), blocks(12, "Q4_K", 256, 144, decoded: true),
    blocks(13, "Q5_K", 256, 176, decoded: true), blocks(14, "Q6_K", 256, 210, decoded: true),
    blocks(15, "Q8_K", 256, 292), blocks(16, "IQ2_XXS", 256, 66), blocks(17, "IQ2_XS", 256, 74),
    blocks(18, "IQ3_XXS", 256, 98), blocks(19, "IQ1_S", 256, 50), blocks(20, "IQ4_NL", 32, 18, decoded: true),
    blocks(21, "IQ3_S", 256, 110), blocks(22, "IQ2_S", 256, 82), blocks(23, "IQ4_XS", 256, 136, decoded: true),
    blocks(29, "IQ1_M", 256, 56), blocks(34, "TQ1_0", 256, 54, decoded: true),
    blocks(35, "TQ2_0", 256, 66, decoded: true), blocks(39, "MXFP4", 32, 17, decoded: true),
    blocks(40, "NVFP4", 64, 36, decoded: true), blocks(41, "Q1_0", 128, 18),
  ]
}

/// The names that this reader and writer know.
enum GGUF {
  static let magic = Array("GGUF".utf8)
  static let version: UInt32 = 3
  static let defaultAlignment = 32
  static let architecture = "general.architecture"
  static let alignment = "general.alignment"
  static let splitNumber = "split.no"
  static let splitCount = "split.count"
  static let splitTensors = "split.tensors.count"

  // The tree.
  static let tensors = "tensors"
  static let metadata = "metadata"
  /// The attribute of `metadata` that lists the types of numbers: a dict of names, such as `u32`, by key.
  static let types = "types"

  // Limits of `ggml`'s loader.
  static let maximumString = 1 << 30
  static let maximumArray = 1 << 30
  /// Strings and arrays in all arrays together, each of which takes more memory than room in the file. Vocabularies have
  /// less than a million.
  static let maximumListed = 1 << 24
  static let maximumDimensions = 4
  /// `llama.cpp` takes shorter names only; the format itself has no limit below that of strings.
  static let maximumLoadedName = 64
  /// Arrays inside each other; real files have none.
  static let maximumNesting = 8

  /// The next multiple of `alignment`; nil on overflow.
  static func aligned(_ offset: Int, _ alignment: Int) -> Int? {
    let (sum, overflow) = offset.addingReportingOverflow(alignment - 1)
    return overflow ? nil : sum / alignment * alignment
  }
}
