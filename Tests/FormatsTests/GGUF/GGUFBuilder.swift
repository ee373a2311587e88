import Checkpoint

@testable import CheckpointFormats

/// Assembles a GGUF file, sound or not, number by number.
struct GGUFBuilder {
  var magic = "GGUF"
  var version: UInt32 = 3
  /// What the header claims, where that is not what follows.
  var tensorCount: UInt64?
  var pairCount: UInt64?
  var pairs: [(key: String, type: UInt32, value: [UInt8])] = []
  var tensors: [(name: String, shape: [UInt64], type: UInt32, offset: UInt64)] = []
  var data: [UInt8] = []
  var alignment = 32

  /// A file with a metadata value and two tensors.
  init() {
    pairs = [("general.architecture", 8, Self.string("test"))]
    tensors = [("a", [3, 2], 0, 0), ("b", [4], 24, 32)]
    data = (0..<36).map { UInt8($0) }
  }

  static func number(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }
  static func string(_ text: String) -> [UInt8] { number(UInt64(text.utf8.count)) + Array(text.utf8) }

  static func array(_ type: UInt32, _ items: [[UInt8]], count: UInt64? = nil) -> [UInt8] {
    number(type) + number(count ?? UInt64(items.count)) + items.flatMap(\.self)
  }

  var bytes: [UInt8] {
    var bytes = Array(magic.utf8) + Self.number(version)
    bytes += Self.number(tensorCount ?? UInt64(tensors.count)) + Self.number(pairCount ?? UInt64(pairs.count))
    for pair in pairs { bytes += Self.string(pair.key) + Self.number(pair.type) + pair.value }
    for tensor in tensors {
      bytes += Self.string(tensor.name) + Self.number(UInt32(tensor.shape.count))
      bytes += tensor.shape.flatMap { Self.number($0) } + Self.number(tensor.type) + Self.number(tensor.offset)
    }
    return bytes + [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment) + data
  }

  /// Reads the file.
  func read() throws -> Checkpoint {
    let file = try ScratchFile("x.gguf", bytes)
    return try GGUFFile.read(file.path)
  }
}

func ggufFixture(_ name: String) -> String { "\(fixtureFolder)/gguf/\(name).gguf" }

/// The two halves of a model's tree.
func halves(_ checkpoint: Checkpoint) -> (tensors: Dict, metadata: Dict)? {
  guard case .dict(let root) = checkpoint.root, root.entries.map(\.key) == [.string("tensors"), .string("metadata")],
    case .dict(let tensors)? = root["tensors"], case .dict(let metadata)? = root["metadata"]
  else { return nil }
  return (tensors, metadata)
}
