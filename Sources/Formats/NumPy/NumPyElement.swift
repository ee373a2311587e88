import Checkpoint

/// What the elements of an array in a file are: a tensor's type, or why there is none.
///
/// NumPy has no bfloat16, no float8, and none of PyTorch's quantised types. Such a type is kept as a structured type of
/// one field, which is called as PyTorch calls the type and holds its bits: `[('bfloat16', '<u2')]`. NumPy opens it,
/// and `array['bfloat16'].view(ml_dtypes.bfloat16)` are the numbers.
enum NumPyElement {
  case tensor(NumPyType, DType)
  /// Bits of an unknown kind: what NumPy makes of an array of `ml_dtypes`.
  case bits(NumPyType, DType)
  /// What no tensor holds and nobody needs of a checkpoint: text, times, tables.
  case other(what: String, advice: String)

  init(_ descr: NumPyHeaderText.Descr) throws(CheckpointError) {
    switch descr {
    case .plain(let text): self = try Self.plain(text)
    case .field(let name, let text):
      guard let dtype = DType(rawValue: name), let type = Self.type(text), type.kind == UInt8(ascii: "u"),
        Self.isCarried(dtype), dtype.itemSize == type.size, !type.isBigEndian || dtype.wordSize == type.size
      else {
        self = Self.table
        return
      }
      self = .tensor(type, dtype)
    case .structured: self = Self.table
    }
  }

  /// - Throws: `unsupported` where no tensor holds the elements.
  func tensorType() throws(CheckpointError) -> (type: NumPyType, dtype: DType) {
    switch self {
    case .tensor(let type, let dtype), .bits(let type, let dtype): return (type, dtype)
    case .other(let what, let advice): throw CheckpointError(.unsupported, what, advice: advice)
    }
  }

  /// What a reader has to say of the array, besides its numbers.
  func warning(of array: String) -> [String] {
    guard case .bits(let type, let dtype) = self else { return [] }
    return [
      "\(array): the type '\(type.text)' does not say what the bits are; they are read as \(dtype.rawValue). "
        + "NumPy forgets bfloat16 and float8: save array.view([('bfloat16', '<u2')])"
    ]
  }

  /// As NumPy spells it in a header: quoted, or a list of one field. Nil for what is narrower than a byte.
  static func descr(of dtype: DType) -> String? {
    guard let size = dtype.itemSize else { return nil }
    if let type = NumPyType.all.first(where: { $0.dtype == dtype }) { return "'\(type.text)'" }
    return "[('\(dtype.rawValue)', '\(size == 1 ? "|" : "<")u\(size)')]"
  }

  /// Whether NumPy has no such type, and elements are whole bytes.
  static func isCarried(_ dtype: DType) -> Bool {
    dtype.itemSize != nil && !NumPyType.all.contains { $0.dtype == dtype }
  }

  private static let table = NumPyElement.other(
    what: "a structured type (a table of columns), of which there are no tensors",
    advice: "Save each column as an array of its own: np.savez(file, a=table['a'], …).")

  /// `<f4`: byte order, kind, bytes.
  private static func type(_ descr: String) -> NumPyType? {
    let order = descr.utf8.first ?? 0
    let hasOrder = "<>|=".utf8.contains(order)
    return NumPyType(name: hasOrder ? String(descr.dropFirst()) : descr, order: hasOrder ? order : UInt8(ascii: "="))
  }

  private static func plain(_ descr: String) throws(CheckpointError) -> NumPyElement {
    // Times have their unit in brackets.
    if ["M8", "m8"].contains(descr.drop { "<>|=".contains($0) }.prefix(2)) {
      return .other(what: "the type '\(descr)', of which there are no tensors", advice: advice)
    }
    guard let type = type(descr) else { throw refusal("the type '\(descr)', of which there are no tensors") }
    if let dtype = type.dtype { return .tensor(type, dtype) }
    switch (type.kind, type.size) {
    case (UInt8(ascii: "O"), _):
      throw CheckpointError(
        .unsupported, "an array of Python objects, which is a pickle and is never run",
        advice: "Save numbers: np.stack the items, or save them under names of their own.")
    case (UInt8(ascii: "V"), 2): return .bits(type, .bits16)
    // ml_dtypes calls its float8_e5m2 so; NumPy itself does not take it.
    case (UInt8(ascii: "V"), 1), (UInt8(ascii: "f"), 1): return .bits(type, .bits8)
    case (UInt8(ascii: "V"), _):
      return .other(
        what: "the type '\(descr)', raw bytes that do not say what they are",
        advice: "Save them as numbers: array.view('u1').")
    case (UInt8(ascii: "U"), _), (UInt8(ascii: "S"), _):
      return .other(what: "the type '\(descr)', of which there are no tensors", advice: advice)
    case (UInt8(ascii: "f"), let size) where size > 8:
      throw refusal("the type '\(descr)', NumPy's long double", advice: "Save it as array.astype(np.float64).")
    case (UInt8(ascii: "c"), let size) where size > 16:
      throw refusal("the type '\(descr)', NumPy's long double", advice: "Save it as array.astype(np.complex128).")
    default: throw refusal("the type '\(descr)', of which there are no tensors")
    }
  }

  private static let advice = "Numbers and bools are read; convert the array with astype(…) before numpy saves it."

  private static func refusal(_ message: String, advice: String = advice) -> CheckpointError {
    CheckpointError(.unsupported, message, advice: advice)
  }
}
