import Checkpoint

/// What a model says of itself, as attributes of the tree's root.
struct ONNXFacts {
  private var numbers: [(name: String, value: Int64)] = []
  private var texts: [(name: String, value: String)] = []
  private var operators: [Dict.Entry] = []
  private var metadata: [Dict.Entry] = []

  mutating func read(
    _ field: ProtobufReader.Field, _ bytes: UnsafeRawBufferPointer, _ once: inout OnceFields
  ) throws(CheckpointError) {
    switch field.number {
    case 1, 5:
      try once.add(field)
      numbers.append((field.number == 1 ? "ir_version" : "model_version", try field.int()))
    case 2, 3, 4, 6:
      try once.add(field)
      let name = [2: "producer_name", 3: "producer_version", 4: "domain", 6: "doc_string"][field.number] ?? ""
      texts.append((name, try field.text(in: bytes)))
    case 8: operators.append(try Self.operators(field, bytes))
    case 14:
      let (key, value) = try ONNXModel.pair(field, bytes)
      metadata.append(Dict.Entry(.string(key), .string(value)))
    default: break
    }
  }

  /// An `OperatorSetIdProto`: a domain, empty for ONNX's own, and a version.
  private static func operators(
    _ field: ProtobufReader.Field, _ bytes: UnsafeRawBufferPointer
  ) throws(CheckpointError) -> Dict.Entry {
    var reader = ProtobufReader(bytes, try field.range())
    var domain = ""
    var version: Int64 = 0
    while let part = try reader.next() {
      if part.number == 1 { domain = try part.text(in: bytes) }
      if part.number == 2 { version = try part.int() }
    }
    return Dict.Entry(.string(domain), .int(version))
  }

  /// Of two entries with one key the first counts; a tree's dictionary has each key once.
  private static func unique(_ entries: [Dict.Entry]) -> Dict {
    var keys: Set<Key> = []
    return Dict(entries.filter { keys.insert($0.key).inserted })
  }

  var fields: [Record.Field] {
    var fields = numbers.map { Record.Field($0.name, .int($0.value)) }
    fields += texts.map { Record.Field($0.name, .string($0.value)) }
    if !operators.isEmpty { fields.append(Record.Field("opset_import", .dict(Self.unique(operators)))) }
    if !metadata.isEmpty { fields.append(Record.Field("metadata_props", .dict(Self.unique(metadata)))) }
    return fields
  }

  /// `IR 8, opset 15`
  var version: String? {
    guard let format = numbers.first(where: { $0.name == "ir_version" }) else { return nil }
    let own = operators.first { ["", "ai.onnx"].contains($0.key.text) }
    guard case .int(let opset)? = own?.value else { return "IR \(format.value)" }
    return "IR \(format.value), opset \(opset)"
  }

  var producer: String? {
    let parts = ["producer_name", "producer_version"].compactMap { name in texts.first { $0.name == name }?.value }
    let text = parts.filter { !$0.isEmpty }.joined(separator: " ")
    return text.isEmpty ? nil : text
  }
}
