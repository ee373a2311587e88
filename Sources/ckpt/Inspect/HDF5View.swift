import Checkpoint
import CheckpointFormats
import CommandSupport

/// An HDF5 file of another program, shown as the tree it is.
struct HDF5View {
  let listing: HDF5Listing
  let file: FileFacts

  func text(_ terminal: Terminal) -> [UInt8] {
    let style = Style(isOn: terminal.hasColour)
    var lines = [
      style.bold(printable(file.path)) + "  HDF5 file of another program, \(size(file.bytes))", "",
    ]
    var table = Table([
      Table.Column(title: "object", isFlexible: true), Table.Column(title: "type"), Table.Column(title: "shape"),
      Table.Column(title: "size", alignment: .right), Table.Column(title: "", isFlexible: true, isDim: true),
    ])
    for node in listing.nodes { table.rows += rows(node) }
    lines += table.lines(terminal)
    let datasets = listing.datasets
    lines.append("  \(counted(datasets.count, "dataset")), \(size(datasets.reduce(0) { $0 + ($1.bytes ?? 0) }))")
    if !file.warnings.isEmpty { lines.append("") }
    lines += file.warnings.map { style.warning("  warning: ") + printable($0) }
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  /// A row for the object, and one for each attribute.
  private func rows(_ node: HDF5Listing.Node) -> [[String]] {
    let indent = String(repeating: "  ", count: node.path.count)
    let name = printable(node.path.last ?? "")
    var rows: [[String]] = []
    switch node.kind {
    case .group: rows.append(["\(indent)\(name)/"])
    case .dataset(let type, let dimensions, let bytes, _, let layout):
      rows.append([indent + name, printable(type), shape(dimensions), bytes.map(size) ?? "?", printable(layout)])
    case .other(let what): rows.append([indent + name, "", "", "", printable(what)])
    }
    for attribute in node.attributes {
      rows.append(["\(indent)  @\(printable(attribute.name))", "", "", "", attribute.value.text(limit: 60)])
    }
    return rows
  }

  /// The schema of `inspect`: datasets are tensors, attributes are values at `group.@name`.
  func json() -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    for (name, text) in [("schema", "ckpt.inspect/1"), ("path", file.path)] {
      json.key(name)
      json.string(text)
    }
    json.key(plain: "bytes")
    json.int(file.bytes)
    json.key(plain: "format")
    json.string("hdf5")
    json.key(plain: "format_version")
    json.null()
    json.key(plain: "content_digest")
    json.null()
    json.key(plain: "sections")
    json.strings([])
    json.key(plain: "values")
    json.beginArray()
    for node in listing.nodes { writeValues(node, &json) }
    json.endArray()
    json.key(plain: "tensors")
    json.beginArray()
    for dataset in listing.datasets { write(dataset, &json) }
    json.endArray()
    json.key(plain: "warnings")
    json.strings(file.warnings)
    json.endObject()
    return json.bytes + [0x0A]
  }

  private func writeValues(_ node: HDF5Listing.Node, _ json: inout JSONWriter) {
    var values = node.attributes.map { (path: node.path + ["@\($0.name)"], type: $0.value.typeName, value: $0.value) }
    if case .other(let what) = node.kind { values.append((node.path, "link", .string(what))) }
    for value in values {
      json.beginObject()
      json.key(plain: "path")
      json.string(value.path.joined(separator: "."))
      json.key(plain: "type")
      json.string(value.type)
      json.key(plain: "value")
      json.value(value.value)
      json.endObject()
    }
  }

  private func write(_ dataset: HDF5Listing.DatasetRow, _ json: inout JSONWriter) {
    json.beginObject()
    let path = dataset.path.joined(separator: ".")
    json.key(plain: "path")
    json.string(path)
    json.key(plain: "section")
    json.null()
    json.key(plain: "name")
    json.string(path)
    json.key(plain: "dtype")
    json.string(dataset.type)
    json.key(plain: "shape")
    json.ints(dataset.shape)
    json.key(plain: "bytes")
    if let bytes = dataset.bytes { json.int(bytes) } else { json.null() }
    json.key(plain: "digest")
    json.null()
    json.key(plain: "alias_of")
    json.null()
    json.endObject()
  }
}

extension HDF5Listing {
  struct DatasetRow {
    let path: [String]
    let type: String
    let shape: [Int]
    let bytes: Int?
  }

  var datasets: [DatasetRow] {
    nodes.compactMap { node in
      guard case .dataset(let type, let shape, let bytes, _, _) = node.kind else { return nil }
      return DatasetRow(path: node.path, type: type, shape: shape, bytes: bytes)
    }
  }
}
