import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 7.
@Suite struct TensorClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 % 2) } }

  private static func type(_ dtype: DType) -> Datatype {
    switch dtype {
    case .float64: .float(FloatLayout(bytes: 8, exponentBits: 11))
    case .float32: .float(FloatLayout(bytes: 4, exponentBits: 8))
    case .float16: .float(FloatLayout(bytes: 2, exponentBits: 5))
    case .bfloat16: .float(FloatLayout(bytes: 2, exponentBits: 8))
    case .int64, .int32, .int16, .int8: .integer(bytes: dtype.bitWidth / 8, signed: true)
    case .uint64, .uint32, .uint16, .uint8: .integer(bytes: dtype.bitWidth / 8, signed: false)
    case .bool: .bool
    case .complex128: .complex(.float64)
    case .complex64: .complex(.float32)
    case .complex32: .complex(.float16)
    case .qint32: .int32
    case .qint8: .int8
    case .bits16: .uint16
    default: .uint8
    }
  }

  /// TEN-1, TEN-2, TEN-3, TEN-4: every element type has its HDF5 type, its name, its shape and its bytes.
  @Test(arguments: DType.allCases) func everyElementTypeHasItsPlace(dtype: DType) throws {
    let shapes = [[3, 5], [], [0, 3], [1]]
    var tree = Dict([Dict.Entry(.string("n"), .int(1))])
    for (index, shape) in shapes.enumerated() {
      let source = BufferSource(bytes(try unwrapped(dtype.byteCount(of: shape))))
      tree.entries.append(
        Dict.Entry(.string("t\(index)"), .tensor(try Tensor(dtype: dtype, shape: shape, source: source))))
    }
    let file = try surveyed(.dict(tree), folder)
    for (index, shape) in shapes.enumerated() {
      let node = try file.node("t\(index)")
      let content = bytes(try unwrapped(dtype.byteCount(of: shape)))
      #expect(node.type == Self.type(dtype))
      #expect(node.bytes == content)
      #expect(node.text("dtype") == dtype.rawValue)
      if dtype.bitWidth % 8 == 0 {
        #expect(node.shape == (shape.isEmpty ? .scalar : .simple(shape)))
        #expect(node.attributes.count == 1)
      } else {
        #expect(node.shape == .simple([content.count]))
        #expect(node.attributes["shape"] == .ints(shape.map(Int64.init)))
      }
    }
    // Through the manifest, and without it.
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, .dict(tree)))
    #expect(problems(path) == [])
  }

  /// TEN-2: bfloat16 is 1-8-7 bits with bias 127.
  @Test func bfloat16IsAFloatOfItsOwn() throws {
    let tensor = Value.tensor(try Tensor(dtype: .bfloat16, shape: [1], source: BufferSource([0x80, 0x3F])))
    guard case .float(let layout) = try surveyed(dict(("t", tensor)), folder).node("model/t").type else {
      throw Missing()
    }
    #expect([layout.bytes, layout.exponentBits, layout.mantissaBits, layout.bias] == [2, 8, 7, 127])
    #expect([layout.signPosition, layout.exponentPosition, layout.mantissaPosition] == [15, 7, 0])
  }

  /// TEN-1, TEN-3: what contradicts itself is refused.
  @Test func contradictionsAreRefused() throws {
    func refused(_ type: Datatype, _ shape: Shape, _ attributes: [String: AttributeValue]) throws -> String {
      let count = try unwrapped(shape.byteCount(elementBytes: type.byteCount))
      try craft(path) { try $0.put("t", type, shape, bytes(count), attributes) }
      return refusal(path)
    }
    #expect(try refused(.int32, .simple([2]), ["dtype": .string("float32")]).contains("is stored as"))
    #expect(try refused(.float(.float32.withBigEndian(true)), .simple([2]), ["dtype": .string("float32")]) != "")
    #expect(try refused(.uint8, .simple([2]), ["dtype": .string("float9")]).contains("not known"))
    #expect(try refused(.uint8, .simple([2]), ["dtype": .string("int4")]) != "")
    #expect(
      try refused(.uint8, .simple([2]), ["dtype": .string("int4"), "shape": .ints([5])]).contains("takes 3 bytes"))
    #expect(try refused(.uint8, .simple([2]), ["dtype": .string("int4"), "shape": .ints([-4])]) != "")
    #expect(try refused(.uint8, .simple([2]), ["dtype": .string("int4"), "shape": .ints([2, 2])]) == "")
  }

  /// TEN-4: a view of a storage is stored as its elements in their order, conjugated where that was pending.
  @Test func viewsAreStoredAsTheirElements() throws {
    let storage = BufferSource(elements: [Float(1), 2, 3, 4, 5, 6])
    let transposed = try Tensor(
      dtype: .float32, shape: [3, 2],
      source: try StridedSource(storage, dtype: .float32, offset: 0, shape: [3, 2], strides: [1, 3]))
    let conjugated = try Tensor(
      dtype: .complex64, shape: [1],
      source: try StridedSource(
        storage, dtype: .complex64, offset: 1, shape: [1], strides: [1], fixes: .init(conjugated: true)))
    let file = try surveyed(dict(("t", .tensor(transposed)), ("c", .tensor(conjugated))), folder)
    #expect(try file.node("model/t").bytes == littleEndian([Float(1), 4, 2, 5, 3, 6]))
    #expect(try file.node("model/c").bytes == littleEndian([Float(3), -4]))
  }

  /// TEN-5
  @Test func whatATensorWasToItsModuleIsAnAttribute() throws {
    let kinds: [(Tensor.Kind, String?)] = [
      (.tensor, nil), (.parameter, "parameter"), (.buffer(persistent: true), "buffer"),
      (.buffer(persistent: false), "buffer-not-persistent"),
    ]
    for (kind, text) in kinds {
      for grad in [false, true] {
        let tree = dict(("t", try tensor([1], [1], kind: kind, grad: grad)))
        let node = try surveyed(tree, folder).node("model/t")
        #expect(node.text("kind") == text)
        #expect(node.attributes["requires_grad"] == (grad ? .bool(true) : nil))
        let read = try NativeFormat.read(path)
        #expect(try sameContent(read.root, tree))
      }
    }
    try edit(path) { root in
      try within(root, "model") { model in
        let dataset = try model.openDataset("t")
        try dataset.removeAttribute("kind")
        try dataset.writeAttribute("kind", .string("widget"))
      }
    }
    #expect(refusal(path).contains("\"widget\" is no kind"))
  }

  /// TEN-6: one dataset with several links; another kind is an alias.
  @Test func tiedTensorsAreOneDataset() throws {
    let source = BufferSource(elements: [Float(1), 2])
    func view(_ kind: Tensor.Kind, _ shape: [Int] = [2]) throws -> Value {
      .tensor(try Tensor(dtype: .float32, shape: shape, source: source, kind: kind))
    }
    let tree = dict(
      ("a", try view(.tensor)), ("b", try view(.tensor)), ("c", try view(.parameter)),
      ("d", try view(.tensor, [1, 2])),
      ("e", try tensor([1, 2], [2])), ("n1", try tensor([], [0])), ("s", .int(1)))
    let file = try surveyed(tree, folder)
    let a = try file.node("a")
    #expect(try file.node("b").address == a.address)
    let alias = try file.node("c")
    #expect(alias.type == .uint8)
    #expect(alias.shape == .null)
    #expect(
      alias.attributes == ["encoding-type": .string("alias"), "target": .string("/a"), "kind": .string("parameter")])
    // Another shape is another tensor, and so are equal bytes of another storage.
    for name in ["d", "e"] {
      #expect(try file.node(name).address != a.address)
      #expect(try file.node(name).offset != a.offset)
    }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
    guard case .tensor(let first)? = read.root.value("a"), case .tensor(let tied)? = read.root.value("b"),
      case .tensor(let third)? = read.root.value("c"), case .tensor(let apart)? = read.root.value("e")
    else { throw Missing() }
    #expect(first.isTied(to: tied) && first.isTied(to: third) && !first.isTied(to: apart))
    // The tree says the same without the manifest.
    try edit(path) { try $0.remove("manifest") }
    let walked = try NativeFormat.read(path)
    #expect(try sameContent(walked.root, tree))
    try craft(path) { root in
      try root.put("c", .uint8, .null, [], ["encoding-type": .string("alias"), "target": .string("/a")])
    }
    #expect(refusal(path).contains("alias of /a, which is no tensor before it"))
  }
}

extension Value {
  /// The value of a dictionary's entry.
  func value(_ name: String) -> Value? { if case .dict(let dict) = self { dict[name] } else { nil } }
}
