import ArgumentParser
import Checkpoint
import CheckpointFormats
import CommandSupport

/// `ckpt formats`
struct FormatsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "formats", abstract: "List what can be read and written, and what each format cannot hold.",
    usage: "ckpt formats [--json]",
    discussion: """
      Inputs are recognised by their content; --from says otherwise. An output's format is that of its name's ending, \
      or --to. What a format cannot hold is told in a warning when it is left out.
      """)

  @Flag(help: "Print JSON (schema ckpt.formats/1).")
  var json = false

  func run() throws {
    try reportingErrors { () throws(CheckpointError) in
      let view = FormatsView(Format.all)
      try Terminal.write(json ? view.json() : view.text(Terminal.output))
      return Exit.yes
    }
  }
}

/// The formats as a table.
struct FormatsView {
  private let formats: [Format]

  init(_ formats: [Format]) { self.formats = formats }

  func text(_ terminal: Terminal) -> [UInt8] {
    var table = Table([
      Table.Column(title: "--from, --to"), Table.Column(title: "format", isFlexible: true),
      Table.Column(title: "read"), Table.Column(title: "written"), Table.Column(title: "endings", isOptional: true),
    ])
    table.indent = 0
    var lastKind: FormatKind?
    for format in ordered {
      table.rows.append([
        format.kind == lastKind ? "" : format.kind.rawValue, format.name, "yes", format.write == nil ? "" : "yes",
        format.write == nil ? "" : format.kind.suffixes.joined(separator: " "),
      ])
      lastKind = format.kind
    }
    var lines = table.lines(terminal)
    lines += ["", "What they cannot hold (left out with a warning, or stored in another form):"]
    for format in ordered where format.write != nil {
      lines.append("  \(format.kind.rawValue): \(format.limits.isEmpty ? "nothing" : format.limits)")
    }
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  /// Those of one kind together, those that are written first.
  private var ordered: [Format] {
    FormatKind.allCases.flatMap { kind in
      let known = formats.filter { $0.kind == kind }
      return known.filter { $0.write != nil } + known.filter { $0.write == nil }
    }
  }

  func json() -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key(plain: "schema")
    json.string("ckpt.formats/1")
    json.key(plain: "formats")
    json.beginArray()
    for format in ordered {
      json.beginObject()
      json.key(plain: "kind")
      json.string(format.kind.rawValue)
      json.key(plain: "id")
      json.string(format.id)
      json.key(plain: "name")
      json.string(format.name)
      json.key(plain: "reads")
      json.bool(true)
      json.key(plain: "writes")
      json.bool(format.write != nil)
      json.key(plain: "endings")
      json.strings(format.kind.suffixes)
      json.key(plain: "cannot_hold")
      json.string(format.limits.isEmpty ? nil : format.limits)
      json.endObject()
    }
    json.endArray()
    json.endObject()
    return json.bytes + [0x0A]
  }
}
