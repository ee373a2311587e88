/// A run of bytes in the pickle itself. Start and count are 48-bit numbers side by side: a node stays 16 bytes, and a
/// plain pickle of arrays may be as large as any file.
struct PickleSpan: Sendable {
  private var low: UInt64
  private var high: UInt32

  init(start: Int, count: Int) {
    low = UInt64(truncatingIfNeeded: start) & 0xFFFF_FFFF_FFFF | UInt64(truncatingIfNeeded: count) << 48
    high = UInt32(truncatingIfNeeded: count >> 16)
  }

  var start: Int { Int(truncatingIfNeeded: low & 0xFFFF_FFFF_FFFF) }
  var count: Int { Int(truncatingIfNeeded: UInt64(high) << 16 | low >> 48) }
  var range: Range<Int> { start..<(start + count) }
}

/// A run of nodes in the pickle's pool.
struct PickleRun: Sendable {
  var start: Int32
  var count: Int32

  var range: Range<Int> { Int(start)..<(Int(start) + Int(count)) }
}

/// One value of a pickle. Nodes lie in an array and name each other by index: neither cycles nor nesting of any depth
/// can leak or overflow the stack.
enum PickleNode: Sendable {
  case none
  case bool(Bool)
  case int(Int64)
  case double(Double)
  /// Two's complement, little-endian.
  case bigInt(PickleSpan)
  /// Likewise, from decimal digits: an index into `Pickle.owned`.
  case bigIntOwned(Int32)
  /// UTF-8, perhaps with encoded lone surrogates.
  case string(PickleSpan)
  /// Likewise, unescaped: an index into `Pickle.owned`.
  case stringOwned(Int32)
  /// A byte string of Python 2, which may be text or data: whoever uses it knows.
  case byteString(PickleSpan)
  /// Likewise, unescaped: an index into `Pickle.owned`.
  case byteStringOwned(Int32)
  case bytes(PickleSpan)
  case byteArray(PickleSpan)
  case tuple(PickleRun)
  case frozenset(PickleRun)
  /// An index into `Pickle.containers`; as a dict, keys and values alternate.
  case list(Int32)
  case set(Int32)
  case dict(Int32)
  /// An index into `Pickle.globals`.
  case global(Int32)
  /// An index into `Pickle.objects`.
  case object(Int32)
  /// A persistent id: the node that says what.
  case persistent(Int32)
}

/// A class or function that the pickle names.
struct PickleGlobal: Sendable {
  var module: String
  var name: String

  var fullName: String { "\(module).\(name)" }
}

/// Something that Python would make by a call, and what it would do to the result. Nothing is called here.
struct PickleObject: Sendable {
  enum Form: Sendable {
    /// `callable(*args)`: REDUCE.
    case call
    /// `cls.__new__(cls, *args, **kwargs)`: NEWOBJ, NEWOBJ_EX, INST, OBJ.
    case instance
  }

  var form: Form
  var callable: Int32
  /// A tuple's node.
  var arguments: Int32
  /// A dict's node, or -1.
  var keywords: Int32 = -1
  /// APPEND, APPENDS and ADDITEMS.
  var items: [Int32] = []
  /// SETITEM and SETITEMS: keys and values alternate.
  var pairs: [Int32] = []
  /// BUILD.
  var states: [Int32] = []
}

/// What a pickle holds, as data.
struct Pickle: Sendable {
  var nodes: [PickleNode] = []
  var pool: [Int32] = []
  var containers: [[Int32]] = []
  var objects: [PickleObject] = []
  var globals: [PickleGlobal] = []
  var owned: [[UInt8]] = []
  var root: Int32 = 0
  /// How many opcodes there were: what a reader may expand is measured by it.
  var opcodes = 0
}
