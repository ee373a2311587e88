#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// An ordered dictionary with typed keys, as Python's.
public struct Dict: Sendable {
  public enum Kind: Sendable, Equatable {
    case plain
    /// `collections.OrderedDict`
    case ordered
    /// `collections.Counter`
    case counter
    /// `collections.defaultdict`; the text names the factory (`builtins.list`), empty for None.
    case defaultDict(factory: String)
  }

  public struct Entry: Sendable {
    public var key: Key
    public var value: Value

    public init(_ key: Key, _ value: Value) {
      self.key = key
      self.value = value
    }
  }

  public var kind: Kind
  public var entries: [Entry]
  /// Attributes of the dictionary object itself, as `_metadata` of a module's state dict.
  public var attributes: [Record.Field]

  public init(_ entries: [Entry] = [], kind: Kind = .plain, attributes: [Record.Field] = []) {
    self.kind = kind
    self.entries = entries
    self.attributes = attributes
  }

  public var count: Int { entries.count }

  /// The value under a string key, found by walking the entries: build an index where many are looked up.
  public subscript(name: String) -> Value? { self[.string(name)] }

  public subscript(key: Key) -> Value? {
    // By index: a copy of each entry would count references for all that it holds.
    entries.indices.first { entries[$0].key == key }.map { entries[$0].value }
  }
}

/// A dictionary's key. Two keys are equal when Python would call them so and they have one type; strings are compared
/// by their bytes, never normalised.
public enum Key: Sendable, Hashable {
  case string(String)
  case surrogateString([UInt8])
  case int(Int64)
  case bigInt(BigInt)
  case bool(Bool)
  /// By bit pattern, so that NaN equals itself.
  case double(Double)
  case none
  case bytes([UInt8])
  case tuple([Key])
  case token(Value.Token, String)

  public static func == (a: Key, b: Key) -> Bool {
    switch (a, b) {
    case (.string(let x), .string(let y)): x.hasSameBytes(as: y)
    case (.surrogateString(let x), .surrogateString(let y)): x == y
    case (.int(let x), .int(let y)): x == y
    case (.bigInt(let x), .bigInt(let y)): x == y
    case (.bool(let x), .bool(let y)): x == y
    case (.double(let x), .double(let y)): x.bitPattern == y.bitPattern
    case (.none, .none): true
    case (.bytes(let x), .bytes(let y)): x == y
    case (.tuple(let x), .tuple(let y)): x == y
    case (.token(let k, let x), .token(let l, let y)): k == l && x.hasSameBytes(as: y)
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .string(let x): hasher.combineBytes(of: x)
    case .surrogateString(let x), .bytes(let x): hasher.combine(x)
    case .int(let x): hasher.combine(x)
    case .bigInt(let x): hasher.combine(x)
    case .bool(let x): hasher.combine(x)
    case .double(let x): hasher.combine(x.bitPattern)
    case .none: hasher.combine(0)
    case .tuple(let x): hasher.combine(x)
    case .token(_, let x): hasher.combineBytes(of: x)
    }
  }

  /// The key as a value of the tree.
  public var value: Value {
    switch self {
    case .string(let x): .string(x)
    case .surrogateString(let x): .surrogateString(x)
    case .int(let x): .int(x)
    case .bigInt(let x): .bigInt(x)
    case .bool(let x): .bool(x)
    case .double(let x): .double(x)
    case .none: .none
    case .bytes(let x): .bytes(x)
    case .tuple(let x): .sequence(.tuple, x.map(\.value))
    case .token(let k, let x): .token(k, x)
    }
  }

  /// A value as a key, or nil where a dictionary cannot have it as one.
  public init?(_ value: Value) {
    switch value {
    case .string(let x): self = .string(x)
    case .surrogateString(let x): self = .surrogateString(x)
    case .int(let x): self = .int(x)
    case .bigInt(let x): self = .bigInt(x)
    case .bool(let x): self = .bool(x)
    case .double(let x): self = .double(x)
    case .none: self = .none
    case .bytes(let x): self = .bytes(x)
    case .token(let k, let x): self = .token(k, x)
    case .sequence(.tuple, let items):
      var keys: [Key] = []
      for item in items {
        guard let key = Key(item) else { return nil }
        keys.append(key)
      }
      self = .tuple(keys)
    default: return nil
    }
  }
}

extension String {
  /// Equality of the UTF-8 bytes. Swift's `==` calls a letter and its decomposed form equal; file formats must not.
  public func hasSameBytes(as other: String) -> Bool {
    // Most texts that differ differ in length already.
    guard utf8.count == other.utf8.count else { return false }
    return withBytes { a in
      other.withBytes { b in
        // An empty text may have no memory.
        guard a.count == b.count, let x = a.baseAddress, let y = b.baseAddress else { return a.count == b.count }
        return memcmp(x, y, a.count) == 0
      }
    }
  }

  /// Gives the UTF-8 bytes as they lie in memory. `withUTF8` asks for a copy, whose references are counted.
  public func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    if let result = utf8.withContiguousStorageIfAvailable(body) { return result }
    var copy = self
    return copy.withUTF8(body)
  }
}

extension Hasher {
  fileprivate mutating func combineBytes(of text: String) {
    var copy = text
    copy.withUTF8 { combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}
