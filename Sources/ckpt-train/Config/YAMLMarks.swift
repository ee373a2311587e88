/// Finds anchors and aliases in YAML text before a parser follows them.
enum YAMLMarks {
  struct Reference {
    var line: Int
    var column: Int
    var text: String
  }

  /// The first `&name` or `*name` that begins a token, outside quotes and comments.
  static func firstReference(in text: String) -> Reference? {
    var scan = Scan(text: Array(text.unicodeScalars))
    return scan.run()
  }

  static func message(_ reference: Reference) -> String {
    "'\(reference.text)' is an \(reference.text.hasPrefix("&") ? "anchor" : "alias") of YAML, which configs do not use; "
      + "write '\(reference.text)' in quotes if it is a pattern or a text"
  }

  /// Line and column, from 1, of the character with this number.
  static func position(ofCharacter offset: Int, in text: String) -> (line: Int, column: Int) {
    var (line, column) = (1, 1)
    for character in text.prefix(offset) {
      if character == "\n" || character == "\r\n" { (line, column) = (line + 1, 1) } else { column += 1 }
    }
    return (line, column)
  }

  private struct Scan {
    let text: [Unicode.Scalar]
    var at = 0
    var line = 1
    var column = 1
    /// Whether a token may begin here.
    var isAtStart = true

    mutating func run() -> Reference? {
      while at < text.count {
        let scalar = text[at]
        if isAtStart, scalar == "\"" || scalar == "'" {
          skipQuoted(scalar)
          isAtStart = false
          continue
        }
        if isAtStart, scalar == "#" {
          while at < text.count, text[at] != "\n" { advance() }
          continue
        }
        if isAtStart, scalar == "&" || scalar == "*", let found = reference() { return found }
        isAtStart = isBlank(scalar) || (isAtStart || scalar == "," || scalar == "[" || scalar == "{") && opens(scalar)
        advance()
      }
      return nil
    }

    private func opens(_ scalar: Unicode.Scalar) -> Bool {
      switch scalar {
      case "[", "{", ",", "-", "?", ":": true
      default: false
      }
    }

    private func isBlank(_ scalar: Unicode.Scalar) -> Bool {
      scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r"
    }

    private func reference() -> Reference? {
      var end = at + 1
      while end < text.count, !isBlank(text[end]), !",]}".unicodeScalars.contains(text[end]), end - at < 60 { end += 1 }
      guard end > at + 1 else { return nil }
      var name = String.UnicodeScalarView()
      name.append(contentsOf: text[at..<end])
      return Reference(line: line, column: column, text: String(name))
    }

    private mutating func skipQuoted(_ quote: Unicode.Scalar) {
      advance()
      while at < text.count {
        let scalar = text[at]
        advance()
        if scalar == "\\", quote == "\"", at < text.count { advance() } else if scalar == quote { return }
      }
    }

    private mutating func advance() {
      if text[at] == "\n" { (line, column) = (line + 1, 1) } else { column += 1 }
      at += 1
    }
  }
}
