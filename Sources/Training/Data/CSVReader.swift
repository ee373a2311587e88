import Checkpoint

/// Rows of comma-separated fields (RFC 4180): quotes, doubled quotes in them, lines that end in LF, CRLF or CR.
struct CSVReader {
  /// Where a field's text lies, without its quotes.
  struct Field {
    var range: Range<Int>
    /// Doubled quotes stand for one each.
    var hasEscapes = false
    var isQuoted = false
  }

  private let bytes: UnsafeRawBufferPointer
  private var position: Int
  /// The line that the next row begins in, from 1.
  private(set) var line = 1

  /// - Parameter bytes: the file, which must outlive the reader.
  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    self.bytes = bytes
    guard !bytes.starts(with: [0xFF, 0xFE]), !bytes.starts(with: [0xFE, 0xFF]) else {
      throw CheckpointError(
        .unsupported, "is UTF-16 text", advice: "Save it as UTF-8 (in spreadsheets: 'CSV UTF-8').")
    }
    position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
  }

  /// Reads a row into `fields`; false at the end. A line without anything is one empty field.
  mutating func next(_ fields: inout [Field]) throws(CheckpointError) -> Bool {
    fields.removeAll(keepingCapacity: true)
    guard position < bytes.count else { return false }
    while true {
      fields.append(try field())
      guard position < bytes.count else { break }
      let byte = bytes[position]
      position += 1
      if byte == UInt8(ascii: ",") {
        // After a last comma comes one more field, an empty one.
        continue
      }
      if byte == 0x0D, position < bytes.count, bytes[position] == 0x0A { position += 1 }
      break
    }
    line += 1 + linesInQuotes
    linesInQuotes = 0
    return true
  }

  private var linesInQuotes = 0

  private mutating func field() throws(CheckpointError) -> Field {
    guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
      let start = position
      while position < bytes.count, !isEnd(bytes[position]) { position += 1 }
      return Field(range: start..<position)
    }
    position += 1
    var field = Field(range: position..<position, isQuoted: true)
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == 0x0A { linesInQuotes += 1 }
      guard byte == UInt8(ascii: "\"") else {
        position += 1
        continue
      }
      if position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "\"") {
        field.hasEscapes = true
        position += 2
        continue
      }
      field.range = start..<position
      position += 1
      guard position == bytes.count || isEnd(bytes[position]) else {
        throw CheckpointError(.damaged, "text after a closing quote", place: "line \(line)")
      }
      return field
    }
    throw CheckpointError(.damaged, "a quote is opened and never closed", place: "line \(line)")
  }

  private func isEnd(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ",") || byte == 0x0A || byte == 0x0D }

  /// The field without the spaces around it.
  func trimmed(_ field: Field) -> UnsafeRawBufferPointer {
    var range = field.range
    while let first = range.first, bytes[first] == 0x20 || bytes[first] == 0x09 { range = range.dropFirst() }
    while let last = range.last, bytes[last] == 0x20 || bytes[last] == 0x09 { range = range.dropLast() }
    return UnsafeRawBufferPointer(rebasing: bytes[range])
  }

  /// The field's text.
  func text(_ field: Field) -> String {
    let text = String(decoding: trimmed(field), as: UTF8.self)
    guard field.hasEscapes else { return text }
    var result = ""
    var isSecond = false
    for scalar in text.unicodeScalars {
      isSecond = scalar == "\"" && !isSecond
      if !isSecond { result.unicodeScalars.append(scalar) }
    }
    return result
  }
}
