import Checkpoint
import CheckpointFormats

/// `inspect --json`: the schema `ckpt.inspect/1` of the contract.
struct InspectJSON {
  private(set) var json = JSONWriter()
  /// By row; only with `--stats`.
  var statistics: [Int: Statistics?] = [:]
  var hasStatistics = false

  /// Where the text goes, piece by piece.
  private let output: ([UInt8]) throws(CheckpointError) -> Void
  private static let pieceSize = 1 << 16

  init(_ output: @escaping ([UInt8]) throws(CheckpointError) -> Void) { self.output = output }

  /// The whole report.
  mutating func write(_ file: FileFacts, _ listing: Listing, rows: [Int]) throws(CheckpointError) {
    json.beginObject()
    head(file)
    json.key(plain: "sections")
    json.beginArray()
    for section in listing.sections { write(section) }
    json.endArray()
    json.key(plain: "values")
    json.beginArray()
    for value in listing.values {
      write(value)
      try pass(Self.pieceSize)
    }
    json.endArray()
    json.key(plain: "tensors")
    json.beginArray()
    for row in rows {
      write(listing, row)
      try pass(Self.pieceSize)
    }
    json.endArray()
    json.key(plain: "warnings")
    json.strings(file.warnings + listing.warnings)
    json.endObject()
    try pass(0)
    try output([0x0A])
  }

  private mutating func pass(_ limit: Int) throws(CheckpointError) {
    if json.bytes.count > limit { try json.drain(output) }
  }

  private mutating func head(_ file: FileFacts) {
    json.key(plain: "schema")
    json.string("ckpt.inspect/1")
    json.key(plain: "path")
    json.string(file.path)
    json.key(plain: "bytes")
    json.int(file.bytes)
    json.key(plain: "format")
    json.string(file.id)
    json.key(plain: "format_version")
    json.string(file.version)
    json.key(plain: "content_digest")
    json.string(file.digest)
  }

  // MARK: - Sections

  private mutating func write(_ row: Listing.SectionRow) {
    json.beginObject()
    json.key(plain: "path")
    json.string(row.text)
    json.key(plain: "kind")
    json.string(row.section.kind.rawValue)
    json.key(plain: "tensors")
    json.int(row.tensors)
    json.key(plain: "elements")
    json.int(row.elements)
    json.key(plain: "bytes")
    json.int(row.bytes)
    if let optimizer = row.optimizer { write(optimizer) }
    json.endObject()
  }

  private mutating func write(_ optimizer: Listing.OptimizerRow) {
    json.key(plain: "algorithm")
    json.string(optimizer.algorithm.name)
    json.key(plain: "step")
    if let step = optimizer.step { json.integer(step) } else { json.null() }
    json.key(plain: "slots")
    json.strings(optimizer.state.slotNames)
    json.key(plain: "groups")
    json.beginArray()
    var position = 0
    for group in optimizer.state.groups {
      json.beginObject()
      for option in group.options {
        json.key(option.key.text)
        json.value(option.value)
      }
      json.key(plain: "params")
      json.strings(Array(optimizer.names.names[position..<(position + group.params.count)]))
      position += group.params.count
      json.endObject()
    }
    json.endArray()
  }

  // MARK: - Leaves

  private mutating func write(_ row: Listing.ValueRow) {
    json.beginObject()
    json.key(plain: "path")
    json.string(row.path)
    json.key(plain: "type")
    json.string(row.value.typeName)
    json.key(plain: "value")
    json.value(row.value)
    json.endObject()
  }

  /// Fields are taken from the array one by one: a copy of the row would count references for all of them.
  private mutating func write(_ listing: Listing, _ index: Int) {
    json.beginObject()
    json.key(plain: "path")
    json.string(utf8: listing.pathUTF8(index))
    json.key(plain: "section")
    if let section = listing.tensors[index].section {
      json.string(listing.sections[section].text)
    } else {
      json.null()
    }
    json.key(plain: "name")
    json.string(listing.tensors[index].name)
    if let slot = listing.tensors[index].slot {
      json.key(plain: "slot")
      json.string(slot)
    }
    json.key(plain: "dtype")
    json.string(listing.tensors[index].tensor.dtype.rawValue)
    json.key(plain: "shape")
    json.ints(listing.tensors[index].tensor.shape)
    if let block = listing.tensors[index].block {
      json.key(plain: "block_type")
      json.string(block.type)
      json.key(plain: "block_shape")
      json.ints(block.shape)
    }
    json.key(plain: "bytes")
    json.int(listing.tensors[index].tensor.byteCount)
    json.key(plain: "digest")
    if let digest = listing.tensors[index].tensor.recordedDigest { json.digest(digest) } else { json.null() }
    json.key(plain: "alias_of")
    if let owner = listing.tensors[index].aliasOf { json.string(utf8: listing.pathUTF8(owner)) } else { json.null() }
    if hasStatistics { write(statistics[index] ?? nil) }
    json.endObject()
  }

  private mutating func write(_ statistics: Statistics?) {
    json.key(plain: "min")
    json.number(statistics?.min)
    json.key(plain: "max")
    json.number(statistics?.max)
    json.key(plain: "mean")
    json.number(statistics?.mean)
    json.key(plain: "std")
    json.number(statistics?.std)
    for (name, count) in [("nan", statistics?.nan), ("inf", statistics?.inf), ("zeros", statistics?.zeros)] {
      json.key(name)
      if let count { json.int(count) } else { json.null() }
    }
  }
}

/// What is said of a file before its content.
struct FileFacts: Sendable {
  var path: String
  var bytes: Int
  /// The word in JSON.
  var id: String
  /// What a person calls it.
  var name: String
  var version: String?
  var producer: String?
  /// The framework that saved what is in it.
  var framework: String?
  var digest: String?
  var warnings: [String]
}
