#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// `text` with control characters, line breaks and invisible format characters written as escapes: names in a file are
/// foreign input and may hold terminal commands.
package func printable(_ text: String) -> String {
  if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      result.append(contentsOf: scalar.escaped(asASCII: true).unicodeScalars)
    default: result.append(scalar)
    }
  }
  return String(result)
}

/// Columns that `text`, which is printable, takes on a terminal.
package func columns(_ text: String) -> Int {
  if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
  return text.unicodeScalars.reduce(0) { $0 + columns($1) }
}

private func columns(_ scalar: Unicode.Scalar) -> Int {
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .enclosingMark: return 0
  default: break
  }
  switch scalar.value {
  case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
    0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
    return 2
  default: return 1
  }
}

/// `text` in at most `width` columns: the middle gives way, since names differ at both ends.
package func shortened(_ text: String, to width: Int) -> String {
  guard columns(text) > width else { return text }
  guard width > 1 else { return "…" }
  let scalars = Array(text.unicodeScalars)
  var head: [Unicode.Scalar] = []
  var tail: [Unicode.Scalar] = []
  var left = width - 1
  var (first, last) = (0, scalars.count - 1)
  while first <= last {
    let fromTail = tail.count >= head.count
    let scalar = fromTail ? scalars[first] : scalars[last]
    left -= columns(String(scalar))
    if left < 0 { break }
    if fromTail {
      head.append(scalar)
      first += 1
    } else {
      tail.append(scalar)
      last -= 1
    }
  }
  var result = String.UnicodeScalarView(head)
  result.append("…")
  result.append(contentsOf: tail.reversed())
  return String(result)
}

/// `text` in at most `width` columns: its end gives way.
package func cut(_ text: String, to width: Int) -> String {
  guard columns(text) > width else { return text }
  var result = String.UnicodeScalarView()
  var left = width - 1
  for scalar in text.unicodeScalars {
    left -= columns(scalar)
    if left < 0 { break }
    result.append(scalar)
  }
  result.append("…")
  return String(result)
}

/// A name as it is shown: printable, and seen even when it is empty.
package func label(_ name: String) -> String { name.isEmpty ? "''" : printable(name) }

/// `1,234,567`
package func grouped(_ number: Int) -> String {
  let digits = Array(String(number.magnitude).utf8)
  var result: [UInt8] = number < 0 ? [0x2D] : []
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0 { result.append(0x2C) }
    result.append(digit)
  }
  return String(decoding: result, as: UTF8.self)
}

/// `1 parameter`, `1,024 parameters`
package func counted(_ number: Int, _ noun: String) -> String {
  "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
}

/// `512 B`, `1.46 MB`: three digits, powers of a thousand.
package func size(_ bytes: Int) -> String {
  guard bytes >= 1000 else { return "\(bytes) B" }
  var value = Double(bytes)
  var unit = 0
  let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
  while value >= 999.5, unit < units.count - 1 {
    value /= 1000
    unit += 1
  }
  return "\(decimal(value, places: value < 9.995 ? 2 : value < 99.95 ? 1 : 0)) \(units[unit])"
}

/// A number that is not negative with so many places after the point.
private func decimal(_ value: Double, places: Int) -> String {
  var scale = 1
  for _ in 0..<places { scale *= 10 }
  let rounded = Int((value * Double(scale)).rounded())
  guard places > 0 else { return "\(rounded)" }
  let fraction = String(rounded % scale)
  return "\(rounded / scale)." + String(repeating: "0", count: places - fraction.utf8.count) + fraction
}

/// A number in as few digits as tell enough: `0.0031`, `-1.25e-08`, `12`.
package func short(_ value: Double, digits: Int = 4) -> String {
  guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
  let text = withVaList([Int32(digits), value]) { arguments in
    var buffer = [CChar](repeating: 0, count: 64)
    vsnprintf(&buffer, buffer.count, "%.*g", arguments)
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
  return text
}
