import Checkpoint

/// Writes a tree as `fixtures/expect_torch.py` writes what torch finds: one line a value.
struct TorchDump {
  private(set) var lines: [String] = []
  private var firstTensors: [(line: Int, tensor: Tensor)] = []

  static func lines(_ root: Value) throws -> [String] {
    var dump = TorchDump()
    try dump.add(root, "")
    return dump.lines
  }

  private mutating func line(_ path: String, _ parts: String...) {
    lines.append(([path.isEmpty ? "/" : path] + parts).joined(separator: " "))
  }

  private func label(_ utf8: [UInt8]) -> String {
    let isPlain = { (byte: UInt8) in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2E
        || byte == 0x5F || byte == 0x2D
    }
    let plain = !utf8.isEmpty && utf8.count <= 40 && utf8.allSatisfy(isPlain)
    return plain ? String(decoding: utf8, as: UTF8.self) : "#" + hex(crc32(utf8), 8)
  }

  private func bits(_ number: Double) -> String { hex(number.bitPattern, 16) }

  private func text(_ key: Key) -> String {
    switch key {
    case .string(let text): label(Array(text.utf8))
    case .surrogateString(let raw): label(raw)
    case .int(let number): "int:\(number)"
    case .bigInt(let number): "int:\(number)"
    case .bool(let flag): "bool:\(flag ? "True" : "False")"
    case .double(let number): "double:\(bits(number))"
    case .tuple(let keys): "(" + keys.map(text).joined(separator: ",") + ")"
    default: "none"
    }
  }

  private mutating func add(_ value: Value, _ path: String) throws {
    switch value {
    case .none: line(path, "none")
    case .bool(let flag): line(path, "bool", flag ? "True" : "False")
    case .int(let number): line(path, "int", "\(number)")
    case .bigInt(let number): line(path, "int", number.description)
    case .double(let number): line(path, "double", bits(number))
    case .complex(let real, let imaginary): line(path, "complex", bits(real), bits(imaginary))
    case .string(let text): line(path, "string", label(Array(text.utf8)))
    case .surrogateString(let raw): line(path, "string", label(raw))
    case .bytes(let raw): line(path, "bytes", "\(raw.count)", hex(crc32(raw), 8))
    case .byteArray(let raw): line(path, "bytearray", "\(raw.count)", hex(crc32(raw), 8))
    case .size(let sizes): line(path, "size", "\(sizes)")
    case .token(_, let name): line(path, "token", name)
    case .sequence(let kind, let items): try add(kind, items, path)
    case .dict(let dict): try add(dict, path)
    case .tensor(let tensor): try add(tensor, path)
    case .record(let record): try add(record, path)
    }
  }

  private mutating func add(_ kind: Value.Sequence, _ items: [Value], _ path: String) throws {
    line(path, kind.rawValue, "\(items.count)")
    let start = lines.count
    for (index, item) in items.enumerated() { try add(item, "\(path)/\(index)") }
    guard items.count > 100 else { return }
    let sum = crc32(lines[start...].joined(separator: "\n").utf8)
    lines.removeSubrange(start...)
    line("\(path)/*", hex(sum, 8))
  }

  private mutating func add(_ dict: Dict, _ path: String) throws {
    let kind =
      switch dict.kind {
      case .ordered: "ordered"
      case .counter: "counter"
      default: "plain"
      }
    line(path, "dict", kind, "\(dict.count)")
    for entry in dict.entries { try add(entry.value, "\(path)/\(text(entry.key))") }
    for field in dict.attributes { try add(field.value, "\(path)/@\(field.name)") }
  }

  private mutating func add(_ tensor: Tensor, _ path: String) throws {
    let kind =
      switch tensor.kind {
      case .tensor: "tensor"
      case .parameter: "parameter"
      case .buffer(let persistent): persistent ? "buffer" : "volatile"
      }
    var raw: [UInt8] = []
    try tensor.source.forEachPiece(limit: 64) { piece in raw.append(contentsOf: piece) }
    let tie = firstTensors.first { $0.tensor.isTied(to: tensor) }?.line ?? lines.count
    firstTensors.append((lines.count, tensor))
    line(
      path, kind, tensor.dtype.rawValue, "\(tensor.shape)", hex(crc32(raw), 8), tensor.requiresGrad ? "grad" : "-",
      "tie:\(tie)")
  }

  private mutating func add(_ record: Record, _ path: String) throws {
    line(path, "record", record.type)
    switch record.type {
    case "torch.quantized":
      guard case .tensor(let tensor) = record["tensor"], case .token(_, let dtype) = record["dtype"],
        case .size(let size) = record["size"]
      else { return }
      var sum: UInt32 = 0
      try tensor.source.withBytes { sum = crc32($0) }
      line("\(path)/-", "quantised", dtype, "\(size)", hex(sum, 8))
    case "torch.tensor_with_attributes":
      if let tensor = record["tensor"] { try add(tensor, "\(path)/-") }
      if let state = record["state"] { try add(state, "\(path)/state") }
    default:
      for field in record.fields { if case .tensor = field.value { try add(field.value, "\(path)/-") } }
    }
  }
}
