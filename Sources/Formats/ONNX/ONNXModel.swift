import Checkpoint

/// A `ModelProto`: the tensors in it, under names of their own, and what the model says of itself.
///
/// A graph's initializers have their names. Tensors in a node's attributes are called by the node's number and its
/// operator, `@3:Constant/value`; what lies in a subgraph has the path of the attribute before its name,
/// `@7:If/then_branch/@0:Constant/value`.
struct ONNXModel {
  private(set) var entries: [Dict.Entry] = []
  private(set) var facts: [Record.Field] = []
  private(set) var version: String?
  private(set) var producer: String?
  let folder: ONNXFolder
  private let file: MappedFile
  private var names: Set<Key> = []

  /// Subgraphs of subgraphs; real models have five or six.
  private static let maximumDepth = 64

  init(_ file: MappedFile) throws(CheckpointError) {
    self.file = file
    folder = ONNXFolder(model: file.path)
    var reader = ProtobufReader(file.bytes, 0..<file.count)
    var once = OnceFields()
    var functions: [Range<Int>] = []
    var trainings: [Range<Int>] = []
    var graph: Range<Int>?
    var about = ONNXFacts()
    while let field = try reader.next() {
      switch field.number {
      case 7:
        try once.add(field)
        graph = try field.range()
      case 20: trainings.append(try field.range())
      case 25: functions.append(try field.range())
      default: try about.read(field, file.bytes, &once)
      }
    }
    guard let graph else { throw CheckpointError(.damaged, "a model without a graph") }
    try walkGraph(graph, "", depth: 0)
    for (number, training) in trainings.enumerated() { try walkTraining(training, "@training:\(number)/") }
    for (number, function) in functions.enumerated() { try walkFunction(function, number) }
    (facts, version, producer) = (about.fields, about.version, about.producer)
  }

  var root: Value { .dict(Dict(entries, attributes: facts)) }

  private mutating func add(_ name: String, _ value: Value) throws(CheckpointError) {
    guard names.insert(.string(name)).inserted else {
      throw CheckpointError(.damaged, "two tensors of this name, and readers may take either", place: "'\(name)'")
    }
    entries.append(Dict.Entry(.string(name), value))
  }

  private mutating func addTensor(_ range: Range<Int>, _ name: String) throws(CheckpointError) {
    do throws(CheckpointError) {
      try add(name, try ONNXTensor(file, range).value(folder))
    } catch {
      throw error.at("tensor '\(name)'")
    }
  }

  private mutating func walkGraph(_ range: Range<Int>, _ prefix: String, depth: Int) throws(CheckpointError) {
    guard depth <= Self.maximumDepth else {
      throw CheckpointError(.unsupported, "graphs lie more than \(Self.maximumDepth) levels deep")
    }
    var reader = ProtobufReader(file.bytes, range)
    var nodes: [Range<Int>] = []
    while let field = try reader.next() {
      switch field.number {
      case 1: nodes.append(try field.range())
      case 5:
        let tensor = try ONNXTensor(file, field.range())
        do throws(CheckpointError) { try add(prefix + tensor.name, tensor.value(folder)) } catch {
          throw error.at("initializer '\(prefix + tensor.name)'")
        }
      case 15:
        let (name, value) = try sparse(field.range())
        try add(prefix + name, value)
      default: break
      }
    }
    for (number, node) in nodes.enumerated() { try walkNode(node, number, prefix, depth: depth) }
  }

  private mutating func walkNode(
    _ range: Range<Int>, _ number: Int, _ prefix: String, depth: Int
  ) throws(CheckpointError) {
    var reader = ProtobufReader(file.bytes, range)
    var attributes: [Range<Int>] = []
    var type = ""
    while let field = try reader.next() {
      if field.number == 4 { type = try field.text(in: file.bytes) }
      if field.number == 5 { attributes.append(try field.range()) }
    }
    for attribute in attributes { try walkAttribute(attribute, "\(prefix)@\(number):\(type)/", depth: depth) }
  }

  private mutating func walkAttribute(
    _ range: Range<Int>, _ prefix: String, depth: Int
  ) throws(CheckpointError) {
    var reader = ProtobufReader(file.bytes, range)
    var once = OnceFields()
    var name = ""
    var parts: [(number: Int, range: Range<Int>)] = []
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try field.text(in: file.bytes)
      case 5, 6, 22:
        try once.add(field)
        parts.append((field.number, try field.range()))
      case 10, 11, 23: parts.append((field.number, try field.range()))
      default: break
      }
    }
    var counts: [Int: Int] = [:]
    for part in parts {
      let index = counts[part.number, default: 0]
      counts[part.number] = index + 1
      let place = prefix + name + ([10, 11, 23].contains(part.number) ? "/\(index)" : "")
      switch part.number {
      case 5, 10: try addTensor(part.range, place)
      case 6, 11: try walkGraph(part.range, place + "/", depth: depth + 1)
      default: try add(place, try sparse(part.range).value)
      }
    }
  }

  private mutating func walkTraining(_ range: Range<Int>, _ prefix: String) throws(CheckpointError) {
    var reader = ProtobufReader(file.bytes, range)
    while let field = try reader.next() {
      if field.number == 1 { try walkGraph(field.range(), prefix + "initialization/", depth: 0) }
      if field.number == 2 { try walkGraph(field.range(), prefix + "algorithm/", depth: 0) }
    }
  }

  private mutating func walkFunction(_ range: Range<Int>, _ number: Int) throws(CheckpointError) {
    var reader = ProtobufReader(file.bytes, range)
    var nodes: [Range<Int>] = []
    var name = ""
    while let field = try reader.next() {
      if field.number == 1 { name = try field.text(in: file.bytes) }
      if field.number == 7 { nodes.append(try field.range()) }
    }
    for (index, node) in nodes.enumerated() {
      try walkNode(node, index, "@function:\(number):\(name)/", depth: 0)
    }
  }

  /// A `SparseTensorProto`, kept as it is: the values that are not zero, and where they belong.
  private func sparse(_ range: Range<Int>) throws(CheckpointError) -> (name: String, value: Value) {
    var reader = ProtobufReader(file.bytes, range)
    var fields: [Record.Field] = []
    var sizes: [Int64] = []
    var name = ""
    var once = OnceFields()
    while let field = try reader.next() {
      switch field.number {
      case 1, 2:
        try once.add(field)
        let tensor = try ONNXTensor(file, field.range())
        if field.number == 1 { name = tensor.name }
        fields.append(Record.Field(field.number == 1 ? "values" : "indices", try tensor.value(folder)))
      case 3:
        guard case .bytes(let packed) = field.content else {
          sizes.append(try field.int())
          continue
        }
        var numbers = ProtobufReader(file.bytes, packed)
        while numbers.offset < packed.upperBound { sizes.append(Int64(bitPattern: try numbers.varint())) }
      default: break
      }
    }
    fields.append(Record.Field("size", .size(sizes)))
    return (name, .record(Record("onnx.sparse_tensor", fields)))
  }

  /// A `StringStringEntryProto`.
  static func pair(
    _ field: ProtobufReader.Field, _ bytes: UnsafeRawBufferPointer
  ) throws(CheckpointError) -> (key: String, value: String) {
    var reader = ProtobufReader(bytes, try field.range())
    var pair = (key: "", value: "")
    while let field = try reader.next() {
      if field.number == 1 { pair.key = try field.text(in: bytes) }
      if field.number == 2 { pair.value = try field.text(in: bytes) }
    }
    return pair
  }
}
