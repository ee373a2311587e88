import Checkpoint
import CommandSupport

/// `inspect --values PATH`: what is at a place of the tree, with numbers.
struct ValuesView {
  private var lines: [String] = []
  private let terminal: Terminal

  /// Elements above which a tensor is shown by its corners, as NumPy does.
  private static let wholeLimit = 1000
  private static let edge = 3

  init(_ terminal: Terminal) { self.terminal = terminal }

  /// - Throws: `usage` for a path that is not there, or that several places have.
  mutating func text(of path: String, in root: Value) throws(CheckpointError) -> [UInt8] {
    let place = try root.find(path)
    guard let value = root[place] else { return [] }
    show(value)
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  private mutating func show(_ value: Value) {
    switch value {
    case .tensor(let tensor): show(tensor)
    case .string(let text): lines.append(printable(text))
    case .bytes(let bytes), .byteArray(let bytes):
      lines.append(value.text())
      for start in stride(from: 0, to: min(bytes.count, 1024), by: 32) {
        lines.append("  " + bytes[start..<min(start + 32, bytes.count)].map(hex).joined(separator: " "))
      }
      if bytes.count > 1024 { lines.append("  … \(bytes.count - 1024) more bytes") }
    case .dict, .sequence, .record: leaves(of: value)
    default: lines.append(value.text())
    }
  }

  private func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

  /// Each leaf below a container in a line.
  private mutating func leaves(of value: Value) {
    var table = Table([Table.Column(title: "", isFlexible: true), Table.Column(title: "")])
    table.hasTitles = false
    table.indent = 0
    // The body throws nothing.
    try? value.forEachLeaf { (_, text, leaf) throws(CheckpointError) in
      table.rows.append([label(text), Self.short(leaf)])
    }
    if let width = terminal.width {
      let room = width - 2 - (table.rows.map { columns($0[0]) }.max() ?? 0)
      for index in table.rows.indices { table.rows[index][1] = cut(table.rows[index][1], to: max(room, 24)) }
    }
    lines += table.rows.isEmpty ? [value.text()] : table.lines(terminal)
  }

  /// A leaf in one line: a tensor with its first numbers.
  private static func short(_ value: Value) -> String {
    guard case .tensor(let tensor) = value, !tensor.shape.isEmpty else { return value.text() }
    let texts = Elements.texts(of: tensor, count: 6)
    return "\(value.text())  \(texts.joined(separator: " "))\(tensor.count > texts.count ? " …" : "")"
  }

  // MARK: - Tensors

  private mutating func show(_ tensor: Tensor) {
    lines.append("\(tensor.dtype.rawValue) \(shape(tensor.shape))")
    guard tensor.count > 0 else { return }
    if tensor.dtype.itemSize == nil { return lines.append("  elements of \(tensor.dtype.bitWidth) bits are not shown") }
    if tensor.shape.isEmpty {
      lines += Elements.texts(of: tensor, count: 1)
    } else {
      rows(tensor, 0, at: 0, stride: tensor.count, whole: tensor.count <= Self.wholeLimit, prefix: "")
    }
  }

  /// The rows of the last dimension, each with its position in the others.
  private mutating func rows(
    _ tensor: Tensor, _ dimension: Int, at start: Int, stride: Int, whole: Bool, prefix: String
  ) {
    let count = tensor.shape[dimension]
    guard dimension < tensor.shape.count - 1 else { return lines.append(row(tensor, start, count, whole, prefix)) }
    let step = stride / max(count, 1)
    for index in 0..<count {
      if !whole, index == Self.edge, count > 2 * Self.edge { lines.append("…") }
      if !whole, count > 2 * Self.edge, index >= Self.edge, index < count - Self.edge { continue }
      rows(
        tensor, dimension + 1, at: start + index * step, stride: step, whole: whole,
        prefix: prefix.isEmpty ? "\(index)" : "\(prefix), \(index)")
    }
  }

  private func row(_ tensor: Tensor, _ start: Int, _ count: Int, _ whole: Bool, _ prefix: String) -> String {
    let label = prefix.isEmpty ? "" : "[\(prefix)] "
    guard !whole, count > 2 * Self.edge else {
      return label + Elements.texts(of: tensor, start..<(start + count)).joined(separator: " ")
    }
    let head = Elements.texts(of: tensor, start..<(start + Self.edge))
    let tail = Elements.texts(of: tensor, (start + count - Self.edge)..<(start + count))
    return label + (head + ["…"] + tail).joined(separator: " ")
  }
}
