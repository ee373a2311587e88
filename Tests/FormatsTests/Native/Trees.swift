import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder that is removed with everything in it when the object goes.
final class TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/ckpt-tests-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { preconditionFailure("no folder can be made in /tmp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { removeAll(path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// The names of all files in it, hidden ones included.
  var names: [String] { filesIn(path) }
}

/// Removes a file, or a folder with all in it; links are not followed.
func removeAll(_ path: String) {
  var status = stat()
  guard lstat(path, &status) == 0 else { return }
  guard status.st_mode & S_IFMT == S_IFDIR else {
    unlink(path)
    return
  }
  for name in filesIn(path) { removeAll("\(path)/\(name)") }
  rmdir(path)
}

/// The names in a folder, sorted.
func filesIn(_ folder: String) -> [String] {
  guard let listing = opendir(folder) else { return [] }
  defer { closedir(listing) }
  var names: [String] = []
  while let entry = readdir(listing) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}

func readBytes(_ path: String) throws -> [UInt8] {
  let file = try MappedFile(path)
  return withExtendedLifetime(file) { Array(file.bytes) }
}

func writeBytes(_ bytes: [UInt8], to path: String) {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
  defer { close(descriptor) }
  var rest = bytes[...]
  while !rest.isEmpty {
    let n = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    guard n > 0 else { return }
    rest = rest.dropFirst(n)
  }
}

func tensor(_ values: [Float], _ shape: [Int], kind: Tensor.Kind = .tensor, grad: Bool = false) throws -> Value {
  .tensor(
    try Tensor(dtype: .float32, shape: shape, source: BufferSource(elements: values), kind: kind, requiresGrad: grad))
}

func dict(_ entries: (String, Value)..., kind: Dict.Kind = .plain) -> Value {
  .dict(Dict(entries.map { Dict.Entry(.string($0.0), $0.1) }, kind: kind))
}

/// A training checkpoint as PyTorch has them: a tied model, AdamW with two groups, a scheduler, counters.
func trainingTree() throws -> Value {
  let tied = try tensor([1, 2, 3, 4, 5, 6], [3, 2])
  let model = Value.dict(
    Dict(
      [
        Dict.Entry(.string("wte.weight"), tied), Dict.Entry(.string("fc.weight"), try tensor([7, 8, 9, 10], [2, 2])),
        Dict.Entry(.string("fc.bias"), try tensor([0.5, -0.5], [2])), Dict.Entry(.string("lm_head.weight"), tied),
      ], kind: .ordered,
      attributes: [Record.Field("_metadata", dict(("", dict(("version", .int(1)))), kind: .ordered))]))
  var state: [Dict.Entry] = []
  for (id, shape) in [[3, 2], [2, 2], [2]].enumerated() {
    let count = shape.reduce(1, *)
    state.append(
      Dict.Entry(
        .int(Int64(id)),
        dict(
          ("step", .tensor(try Tensor(dtype: .float32, shape: [], source: BufferSource(elements: [Float(50)])))),
          ("exp_avg", try tensor((0..<count).map { Float($0) * 0.1 }, shape)),
          ("exp_avg_sq", try tensor((0..<count).map { Float($0) * 0.01 }, shape)))))
  }
  func group(_ decay: Double, _ params: [Int64]) -> Value {
    dict(
      ("lr", .double(0.001)), ("betas", .sequence(.tuple, [.double(0.9), .double(0.999)])), ("eps", .double(1e-8)),
      ("weight_decay", .double(decay)), ("amsgrad", .bool(false)), ("foreach", .none),
      ("decoupled_weight_decay", .bool(true)), ("params", .sequence(.list, params.map(Value.int))))
  }
  return dict(
    ("model", model),
    (
      "optimizer",
      dict(
        ("state", .dict(Dict(state))), ("param_groups", .sequence(.list, [group(0.1, [0, 1]), group(0, [2])])))
    ),
    ("scheduler", dict(("last_epoch", .int(50)), ("base_lrs", .sequence(.list, [.double(0.001), .double(0.001)])))),
    ("step", .int(50)), ("best_loss", .double(.infinity)), ("note", .string("a run")))
}

/// One of everything that a tree can hold, with keys and names that are hard to store.
func oddTree() throws -> Value {
  var entries: [Dict.Entry] = []
  func add(_ key: Key, _ value: Value) { entries.append(Dict.Entry(key, value)) }
  for name in [
    "", ".", "..", "a/b", "a%2Fb", "%", "%=5", "nul\0name", "é", "e\u{301}", "😀", "manifest", " ", "/", "keys",
  ] {
    add(.string(name), .string("value of \(name)"))
  }
  add(.int(-5), .int(.min))
  add(.int(7), .int(.max))
  add(.bool(true), .bool(false))
  add(.none, .none)
  add(.double(0.5), .double(-0.0))
  add(.double(.nan), .double(.nan))
  add(.tuple([.int(1), .string("x/y"), .tuple([])]), .sequence(.tuple, []))
  add(.bytes([0, 255]), .bytes([1, 2, 3]))
  add(.surrogateString([0xED, 0xA0, 0x80]), .surrogateString([0x61, 0xED, 0xB0, 0x80]))
  add(.bigInt(try unwrapped(BigInt(decimal: "123456789012345678901234567890"))), .none)
  add(.token(.dtype, "float32"), .token(.device, "cuda:0"))
  add(.string("big"), .bigInt(try unwrapped(BigInt(decimal: "-987654321098765432109876543210"))))
  add(.string("complex"), .complex(1, -2))
  add(.string("empty text"), .string(""))
  add(.string("text with NUL"), .string("a\0b\0"))
  add(.string("empty bytes"), .bytes([]))
  add(.string("bytearray"), .byteArray([9]))
  add(.string("empty list"), .sequence(.list, []))
  add(.string("empty dict"), dict())
  add(.string("ints"), .sequence(.list, (0..<10).map { .int($0) }))
  add(.string("floats"), .sequence(.tuple, [.double(1), .double(.nan), .double(-.infinity)]))
  add(.string("flags"), .sequence(.list, [.bool(true), .bool(false)]))
  add(.string("texts"), .sequence(.list, [.string("a"), .string(""), .string("long é")]))
  add(.string("NUL texts"), .sequence(.list, [.string("a\0")]))
  add(.string("mixed"), .sequence(.list, [.int(1), .string("b"), .none, .sequence(.list, [.double(2)])]))
  add(.string("set"), .sequence(.set, [.int(3), .int(1)]))
  add(.string("frozenset"), .sequence(.frozenset, [.string("x"), .int(1)]))
  add(.string("size"), .size([2, 3]))
  add(.string("empty size"), .size([]))
  add(.string("counter"), .dict(Dict([Dict.Entry(.int(30), .int(1)), Dict.Entry(.int(80), .int(2))], kind: .counter)))
  add(.string("default"), .dict(Dict([], kind: .defaultDict(factory: "builtins.list"))))
  add(.string("many"), .dict(Dict((0..<200).map { Dict.Entry(.string("k\($0)"), .double(Double($0))) })))
  add(
    .string("record"),
    .record(Record("python.object", [Record.Field("class", .string("a.B")), Record.Field("x", .none)])))
  add(.string("scalar"), try tensor([3], []))
  add(.string("no elements"), try tensor([], [0, 3]))
  add(.string("parameter"), try tensor([1, 2], [2], kind: .parameter, grad: true))
  add(.string("buffer"), try tensor([1, 2], [2], kind: .buffer(persistent: false)))
  let shared = BufferSource(elements: [Float(1), 2])
  add(.string("shared"), .tensor(try Tensor(dtype: .float32, shape: [2], source: shared)))
  add(
    .string("shared parameter"),
    .tensor(try Tensor(dtype: .float32, shape: [2], source: shared, kind: .parameter, requiresGrad: true)))
  for dtype in DType.allCases {
    let shape = [2, 8]
    let bytes = (0..<(dtype.byteCount(of: shape) ?? 0)).map { UInt8(truncatingIfNeeded: $0 * 7 % 2) }
    add(
      .string("dtype \(dtype.rawValue)"), .tensor(try Tensor(dtype: dtype, shape: shape, source: BufferSource(bytes))))
  }
  return .dict(Dict(entries))
}

struct Missing: Error {}

func unwrapped<T>(_ value: T?) throws -> T {
  guard let value else { throw Missing() }
  return value
}
