import Checkpoint
import HDF5

/// Writes values without children: each is one small dataset.
enum LeafWriter {
  /// A list whose elements have one simple type, as one 1-D dataset.
  enum Column {
    case bools([UInt8])
    case ints([Int64])
    case doubles([Double])
    /// Fixed-length text; the width is the longest element's, at least 1.
    case strings([String], width: Int)
  }

  /// The items as a column; nil where they are none, of several types, or would waste space as one.
  static func column(_ items: [Value]) -> Column? {
    switch items.first {
    case .bool: return all(items) { if case .bool(let x) = $0 { x ? 1 : 0 } else { nil } }.map(Column.bools)
    case .int: return all(items) { if case .int(let x) = $0 { x } else { nil } }.map(Column.ints)
    case .double: return all(items) { if case .double(let x) = $0 { x } else { nil } }.map(Column.doubles)
    case .string: return all(items) { if case .string(let x) = $0 { x } else { nil } }.flatMap(textColumn)
    default: return nil
    }
  }

  private static func all<T>(_ items: [Value], _ body: (Value) -> T?) -> [T]? {
    var result: [T] = []
    result.reserveCapacity(items.count)
    for item in items {
      guard let element = body(item) else { return nil }
      result.append(element)
    }
    return result
  }

  private static func textColumn(_ texts: [String]) -> Column? {
    guard let width = textWidth(texts) else { return nil }
    return .strings(texts, width: width)
  }

  /// The width of a text column, or nil where a text has a NUL or padding would take more than it is worth.
  static func textWidth(_ texts: [String]) -> Int? {
    var (width, total) = (1, 0)
    for text in texts {
      guard !text.utf8.contains(0) else { return nil }
      width = max(width, text.utf8.count)
      total += text.utf8.count
    }
    let (padded, overflow) = width.multipliedReportingOverflow(by: texts.count)
    return !overflow && padded <= 4 * total + (1 << 20) ? width : nil
  }

  static func write(
    _ value: Value, in group: borrowing Group, _ link: String
  ) throws(CheckpointError) {
    switch value {
    case .none: try dataset(.none, group, link, .uint8, .null, [])
    case .bool(let x): try dataset(.bool, group, link, .bool, .scalar, [x ? 1 : 0])
    case .int(let x): try dataset(.int, group, link, .int64, .scalar, littleEndian(x))
    case .bigInt(let x): try text(.bigInt, x.description, group, link)
    case .double(let x): try dataset(.float, group, link, .float64, .scalar, littleEndian(x.bitPattern))
    case .complex(let re, let im):
      let bytes = littleEndian(re.bitPattern) + littleEndian(im.bitPattern)
      try dataset(.complex, group, link, .complex128, .scalar, bytes)
    case .string(let x): try text(.string, x, group, link)
    case .surrogateString(let x): try write(.string, x, in: group, link)
    case .bytes(let x): try write(.bytes, x, in: group, link)
    case .byteArray(let x): try write(.bytearray, x, in: group, link)
    case .size(let sizes):
      try dataset(.size, group, link, .int64, .simple([sizes.count]), sizes.flatMap(littleEndian))
    case .token(let kind, let x): try text(Encoding(kind), x, group, link)
    case .sequence(let kind, let items): try write(items, as: Encoding(kind), in: group, link)
    case .tensor, .dict, .record: throw CheckpointError(.usage, "no leaf", place: link)
    }
  }

  /// Bytes under an encoding that says what they are.
  static func write(
    _ encoding: Encoding, _ bytes: [UInt8], in group: borrowing Group, _ link: String
  ) throws(CheckpointError) {
    try dataset(encoding, group, link, .uint8, .simple([bytes.count]), bytes)
  }

  private static func write(
    _ items: [Value], as encoding: Encoding, in group: borrowing Group, _ link: String
  ) throws(CheckpointError) {
    switch column(items) {
    case .bools(let x): try dataset(encoding, group, link, .bool, .simple([x.count]), x)
    case .ints(let x): try dataset(encoding, group, link, .int64, .simple([x.count]), memory(x))
    case .doubles(let x): try dataset(encoding, group, link, .float64, .simple([x.count]), memory(x))
    case .strings(let x, let width):
      try dataset(encoding, group, link, textType(width), .simple([x.count]), padded(x, width))
    case nil: throw CheckpointError(.usage, "no column", place: link)
    }
  }

  /// Text as fixed-length UTF-8; what that would change (empty, with NUL) as plain bytes.
  private static func text(
    _ encoding: Encoding, _ text: String, _ group: borrowing Group, _ link: String
  ) throws(CheckpointError) {
    let bytes = Array(text.utf8)
    guard !bytes.isEmpty, !bytes.contains(0) else { return try write(encoding, bytes, in: group, link) }
    try dataset(encoding, group, link, textType(bytes.count), .scalar, bytes)
  }

  private static func dataset(
    _ encoding: Encoding, _ group: borrowing Group, _ link: String, _ type: Datatype, _ shape: Shape, _ bytes: [UInt8]
  ) throws(CheckpointError) {
    guard bytes.count <= Vocabulary.maximumValueBytes else {
      throw CheckpointError(
        .unsupported, "a value of \(bytes.count) bytes; at most \(Vocabulary.maximumValueBytes) can be stored",
        place: link)
    }
    try hdf5 { () throws(HDF5Error) in
      let dataset = try group.createDataset(link, type: type, shape: shape)
      try dataset.writeAttribute(Vocabulary.encodingType, .string(encoding.rawValue))
      var failure: HDF5Error?
      bytes.withUnsafeBytes { buffer in
        guard !buffer.isEmpty else { return }
        do throws(HDF5Error) { try dataset.write(buffer) } catch { failure = error }
      }
      if let failure { throw failure }
    }
  }

  static func textType(_ width: Int) -> Datatype { .fixedString(bytes: width, utf8: true, padding: .nullPadded) }

  static func padded(_ texts: [String], _ width: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(texts.count * width)
    for text in texts {
      bytes.append(contentsOf: text.utf8)
      bytes.append(contentsOf: repeatElement(0, count: width - text.utf8.count))
    }
    return bytes
  }

  private static func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  /// The elements' memory; every supported platform is little-endian.
  private static func memory<T: BitwiseCopyable>(_ elements: [T]) -> [UInt8] {
    elements.withUnsafeBytes { Array($0) }
  }
}

extension Encoding {
  init(_ token: Value.Token) {
    switch token {
    case .dtype: self = .dtype
    case .device: self = .device
    case .layout: self = .layout
    case .qscheme: self = .qscheme
    case .global: self = .global
    }
  }
}

extension Group {
  /// Writes the order of the entries: for each in turn, its rank among the links sorted by their bytes.
  ///
  /// Creation order says the same, but some tools lose it; this survives them, and any language can use it.
  func writeOrder(_ links: [String]) throws(HDF5Error) {
    guard links.count > 1 else { return }
    var order = [UInt32](repeating: 0, count: links.count)
    for (rank, index) in bytewiseOrder(of: links).enumerated() { order[index] = UInt32(rank) }
    try writeAttribute(Vocabulary.order, order)
  }

  /// A 1-D dataset of the format's own: an optimizer's column, a group's members.
  func writeColumn<T: BitwiseCopyable>(_ name: String, _ type: Datatype, elements: [T]) throws(HDF5Error) {
    let bytes = elements.withUnsafeBytes { Array($0) }
    try writeColumn(name, type, count: elements.count, bytes: bytes)
  }

  func writeColumn(_ name: String, _ type: Datatype, count: Int, bytes: [UInt8]) throws(HDF5Error) {
    let dataset = try createDataset(name, type: type, shape: .simple([count]))
    try dataset.writeAttribute(Vocabulary.encodingType, .string(Encoding.column.rawValue))
    var failure: HDF5Error?
    bytes.withUnsafeBytes { buffer in
      guard !buffer.isEmpty else { return }
      do throws(HDF5Error) { try dataset.write(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

/// Indices of `names` in the order of their UTF-8 bytes. (Swift's `<` compares what letters mean.)
func bytewiseOrder(of names: [String]) -> [Int] {
  names.indices.sorted { names[$0].utf8.lexicographicallyPrecedes(names[$1].utf8) }
}
