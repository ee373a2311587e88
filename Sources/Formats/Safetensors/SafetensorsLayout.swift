import Checkpoint

/// One file's bytes as the reference implementation lays them out (safetensors 0.8): tensors by element type, the widest
/// first, then by name; the header padded with spaces to eight bytes.
struct SafetensorsLayout {
  /// Length, header and padding.
  let header: [UInt8]
  let jobs: [WriteJob]
  /// The file's size.
  let end: Int

  /// - Parameter limit: how long a header readers take.
  /// - Throws: `unsupported` for one that is longer.
  init(_ file: SafetensorsPlan.File, limit: Int = SafetensorsFile.maximumHeader) throws(CheckpointError) {
    let items = Self.sorted(file.items)
    var json = JSONWriter(minimal: true)
    json.beginObject()
    if !file.metadata.isEmpty {
      json.key("__metadata__")
      json.beginObject()
      for (key, value) in file.metadata.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
        json.key(key)
        json.string(value)
      }
      json.endObject()
    }
    var offset = 0
    for item in items {
      Self.write(item, at: offset, &json)
      offset += item.tensor.byteCount
    }
    json.endObject()
    let text = json.bytes
    let padding = (8 - text.count % 8) % 8
    let length = text.count + padding
    guard length <= limit else {
      throw CheckpointError(
        .unsupported, "the header would take \(length) bytes; readers take \(limit) at most",
        advice: "Write an .h5, or the weights alone with --model-only.")
    }
    var bytes = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    bytes.reserveCapacity(8 + length)
    bytes += text
    bytes += repeatElement(0x20, count: padding)
    header = bytes
    var start = bytes.count
    jobs = items.map { item in
      defer { start += item.tensor.byteCount }
      return WriteJob(source: item.tensor.source, offset: start)
    }
    end = bytes.count + offset
  }

  static func sorted(_ items: [FlatCheckpoint.Item]) -> [FlatCheckpoint.Item] {
    let ranks = Dictionary(uniqueKeysWithValues: SafetensorsHeader.types.enumerated().map { ($1.dtype, $0) })
    return items.map { (rank: ranks[$0.tensor.dtype] ?? 0, item: $0) }.sorted { a, b in
      a.rank != b.rank ? a.rank > b.rank : a.item.name.utf8.lexicographicallyPrecedes(b.item.name.utf8)
    }.map(\.item)
  }

  private static func write(_ item: FlatCheckpoint.Item, at offset: Int, _ json: inout JSONWriter) {
    json.key(item.name)
    json.beginObject()
    json.key(plain: "dtype")
    json.string(SafetensorsHeader.types.first { $0.dtype == item.tensor.dtype }?.name ?? "")
    json.key(plain: "shape")
    json.beginArray()
    for size in item.tensor.shape { json.int(size) }
    json.endArray()
    json.key(plain: "data_offsets")
    json.beginArray()
    json.int(offset)
    json.int(offset + item.tensor.byteCount)
    json.endArray()
    json.endObject()
  }
}
