import Checkpoint
import Testing

@testable import CheckpointFormats

/// Section 9: the canonical bytes, written here once more from the text of the specification alone.
@Suite struct DigestClauseTests {
  private struct Canonical {
    var bytes = Array("ckpt-content/1\0".utf8)
    var tensors: [Tensor] = []

    mutating func word(_ value: Int) { bytes += littleEndian([value]) }
    mutating func word(_ value: Double) { bytes += littleEndian([value]) }

    mutating func text(_ content: [UInt8]) {
      word(content.count)
      bytes += content
    }

    mutating func tag(_ tag: String) { bytes += Array(tag.utf8) }

    mutating func fields(_ fields: [Record.Field]) throws {
      word(fields.count)
      for field in fields {
        text(Array(field.name.utf8))
        try add(field.value)
      }
    }

    mutating func add(_ value: Value) throws {
      switch value {
      case .none: tag("N")
      case .bool(let x):
        tag("B")
        bytes.append(x ? 1 : 0)
      case .int(let x):
        tag("I")
        word(Int(x))
      case .bigInt(let x): tagged("L", Array(x.description.utf8))
      case .double(let x):
        tag("D")
        word(x)
      case .complex(let re, let im):
        tag("C")
        word(re)
        word(im)
      case .string(let x): tagged("S", Array(x.utf8))
      case .surrogateString(let x): tagged("S", x)
      case .bytes(let x): tagged("Y", x)
      case .byteArray(let x): tagged("y", x)
      case .sequence(let kind, let items):
        tag(["list": "[", "tuple": "(", "set": "{", "frozenset": "<"][kind.rawValue, default: "?"])
        word(items.count)
        for item in items { try add(item) }
      case .size(let sizes):
        tag("Z")
        word(sizes.count)
        for size in sizes { word(Int(size)) }
      case .token(let kind, let name):
        tagged("K", Array(kind.rawValue.utf8))
        text(Array(name.utf8))
      case .record(let record):
        tagged("R", Array(record.type.utf8))
        try fields(record.fields)
      case .dict(let dict): try add(dict)
      case .tensor(let tensor): try add(tensor)
      }
    }

    private mutating func tagged(_ name: String, _ content: [UInt8]) {
      tag(name)
      text(content)
    }

    private mutating func add(_ dict: Dict) throws {
      switch dict.kind {
      case .plain: tag("M")
      case .ordered: tag("O")
      case .counter: tag("U")
      case .defaultDict(let factory): tagged("F", Array(factory.utf8))
      }
      word(dict.count)
      for entry in dict.entries {
        try add(entry.key.value)
        try add(entry.value)
      }
      try fields(dict.attributes)
    }

    private mutating func add(_ tensor: Tensor) throws {
      let first = tensor.byteCount == 0 ? nil : tensors.firstIndex { $0.isTied(to: tensor) }
      let kinds: [Tensor.Kind] = [.tensor, .parameter, .buffer(persistent: true), .buffer(persistent: false)]
      tag(first == nil ? "X" : "=")
      bytes += [UInt8(try unwrapped(kinds.firstIndex(of: tensor.kind))), tensor.requiresGrad ? 1 : 0]
      if let first { return word(first) }
      tensors.append(tensor)
      text(Array(tensor.dtype.rawValue.utf8))
      word(tensor.shape.count)
      for size in tensor.shape { word(size) }
      try tensor.source.withBytes { bytes += XXH3.hash($0).bytes }
    }
  }

  private func digest(_ value: Value) throws -> String {
    var canonical = Canonical()
    try canonical.add(value)
    return canonical.bytes.withUnsafeBytes { XXH3.hash($0).hex }
  }

  /// DIG-1, DIG-2, DIG-3, DIG-4: every kind of value, key, attribute and tensor.
  @Test func theDigestIsThatOfTheCanonicalBytes() throws {
    let source = BufferSource(elements: [Float(1), 2])
    func view(_ kind: Tensor.Kind, _ grad: Bool, _ shape: [Int] = [2]) throws -> Value {
      .tensor(try Tensor(dtype: .float32, shape: shape, source: source, kind: kind, requiresGrad: grad))
    }
    let empty = try tensor([], [0])
    let ties = Value.sequence(
      .list,
      [
        empty, empty, try view(.tensor, false), try view(.parameter, true), try view(.tensor, false, [1, 2]),
        try view(.buffer(persistent: true), false), try view(.buffer(persistent: false), false, [1, 2]),
      ])
    let trees = [try trainingTree(), try oddTree(), ties]
    for tree in trees + [.sequence(.list, trees)] {
      #expect(try ContentDigest.compute(tree).hex == digest(tree))
    }
  }

  /// DIG-1: order, types and attributes count; nothing of a file does.
  @Test func theDigestTellsTreesApart() throws {
    let one = Dict.Entry(.string("a"), .int(1))
    let two = Dict.Entry(.string("b"), .int(1))
    let trees: [Value] = [
      .dict(Dict([one, two])), .dict(Dict([two, one])), .dict(Dict([one, two], kind: .ordered)),
      .dict(Dict([one, two], attributes: [Record.Field("a", .none)])), .sequence(.list, [.int(1)]),
      .sequence(.tuple, [.int(1)]), .int(1), .double(1), .bool(true), .double(0), .double(-0.0), .string("1"),
      .bytes([49]),
      .string("\u{E9}"), .string("e\u{301}"), try tensor([1], [1]), try tensor([1], []),
      try tensor([1], [1], kind: .parameter), try tensor([1], [1], grad: true),
    ]
    let digests = try trees.map { try ContentDigest.compute($0).hex }
    #expect(Set(digests).count == trees.count)
  }

  /// DIG-1, DIG-4: SHA-256 of the canonical bytes, which have 32 bytes for a tensor then. From Python's hashlib.
  @Test func theDigestMayBeSHA256() throws {
    #expect(
      try ContentDigest.compute(.none, .sha256).description
        == "sha256:57c8d839a8a33521bbb3910f1d237041209cb81b7b206899039736e1126180e7")
    let abc = Value.tensor(try Tensor(dtype: .uint8, shape: [3], source: BufferSource(Array("abc".utf8))))
    #expect(
      try ContentDigest.compute(abc, .sha256).description
        == "sha256:723eb488d277b6a2f05ac73e958347d1b797815df0f90ceade1adfcf1cc25769")
  }
}
