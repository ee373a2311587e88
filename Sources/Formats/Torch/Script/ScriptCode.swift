import Checkpoint

/// What the program in a TorchScript archive says of its classes: which attributes are parameters and buffers.
///
/// The records `code/**.py` are read as text, line by line; nothing of them is run.
struct ScriptCode {
  /// What is said of one class.
  struct ClassFacts {
    /// Whether it is a `torch.nn.Module`; else a class, a named tuple or an enumeration of TorchScript.
    var isModule: Bool
    var parameters: Set<Key> = []
    /// Nil where the text does not say, as of PyTorch 1.3: all other tensors are buffers then.
    var buffers: Set<Key>?
  }

  /// A text beyond this is not looked at: its classes are then unknown, as if the text were missing.
  static let textLimit = 16 << 20
  /// Likewise for all texts together.
  static let totalLimit = 64 << 20
  /// A text with more classes and names than this is not believed.
  static let nameLimit = 100_000

  private let archive: ZipArchive
  private let verify: Bool
  private var byModule: [Key: [Key: ClassFacts]] = [:]
  private var total = 0
  /// Whether a text was too long to be looked at.
  private(set) var isIncomplete = false

  init(_ archive: ZipArchive, verify: Bool) {
    self.archive = archive
    self.verify = verify
  }

  /// What is said of a class that the pickle names; nil where nothing is.
  ///
  /// - Throws: `damaged` when the record does not match its checksum.
  mutating func facts(_ global: PickleGlobal) throws(CheckpointError) -> ClassFacts? {
    let module = Key.string(global.module)
    if let known = byModule[module] { return known[.string(global.name)] }
    let classes = try read("code/" + global.module.split(separator: ".").joined(separator: "/") + ".py")
    byModule[module] = classes
    return classes[.string(global.name)]
  }

  private mutating func read(_ name: String) throws(CheckpointError) -> [Key: ClassFacts] {
    guard let entry = archive.entry(name) else { return [:] }
    // Before its size is believed: a text that so few bytes cannot hold is damage.
    let source = try archive.source(entry, verify: verify)
    guard entry.size <= Self.textLimit, entry.size <= Self.totalLimit - total else {
      isIncomplete = true
      return [:]
    }
    total += entry.size
    var classes: [Key: ClassFacts]?
    try source.withBytes { (bytes) throws(CheckpointError) in
      classes = Self.classes(in: bytes)
    }
    if classes == nil { isIncomplete = true }
    return classes ?? [:]
  }

  /// The classes of a text: a line `class Name(Module):`, and indented lines `__parameters__ = ["a", "b", ]`. Nil for
  /// one with too many names.
  static func classes(in text: UnsafeRawBufferPointer) -> [Key: ClassFacts]? {
    var classes: [Key: ClassFacts] = [:]
    var current: Key?
    var names = 0
    var rest = text[...]
    while !rest.isEmpty {
      let line = rest.prefix { $0 != 0x0A }
      rest = rest[line.endIndex...].dropFirst()
      if line.first != 0x20 {
        current = nil
        guard let (name, isModule) = heading(line) else { continue }
        current = .string(name)
        names += 1
        classes[.string(name)] = ClassFacts(isModule: isModule)
      } else if let current {
        if let found = list("  __parameters__ = [", line) {
          classes[current]?.parameters = found
          names += found.count
        }
        if let found = list("  __buffers__ = [", line) {
          classes[current]?.buffers = found
          names += found.count
        }
      }
      guard names <= nameLimit else { return nil }
    }
    return classes
  }

  /// `class Name(Module):`
  private static func heading(_ line: Slice<UnsafeRawBufferPointer>) -> (name: String, isModule: Bool)? {
    guard line.starts(with: "class ".utf8) else { return nil }
    let rest = line.dropFirst(6)
    let name = rest.prefix { $0 != 0x28 && $0 != 0x3A }
    guard !name.isEmpty, let text = String(validating: name, as: UTF8.self) else { return nil }
    return (text, rest.dropFirst(name.count).starts(with: "(Module)".utf8))
  }

  /// The names in a list of quoted texts, where the line begins so.
  private static func list(_ beginning: StaticString, _ line: Slice<UnsafeRawBufferPointer>) -> Set<Key>? {
    let count = beginning.utf8CodeUnitCount
    guard beginning.withUTF8Buffer({ line.starts(with: $0) }) else { return nil }
    var names: Set<Key> = []
    var rest = line.dropFirst(count)
    while names.count <= nameLimit, let quote = rest.firstIndex(of: 0x22) {
      rest = rest[rest.index(after: quote)...]
      let name = unquoted(&rest)
      if let text = String(validating: name, as: UTF8.self) { names.insert(.string(text)) }
    }
    return names
  }

  /// The bytes up to the closing quote, which is taken off too, with C's escapes undone.
  private static func unquoted(_ rest: inout Slice<UnsafeRawBufferPointer>) -> [UInt8] {
    var name: [UInt8] = []
    while let byte = rest.popFirst(), byte != 0x22 {
      guard byte == 0x5C, let escaped = rest.popFirst() else {
        name.append(byte)
        continue
      }
      switch escaped {
      case 0x30...0x37:
        var code = UInt(escaped & 7)
        for _ in 0..<2 {
          guard let digit = rest.first, (0x30...0x37).contains(digit) else { break }
          code = code << 3 | UInt(digit & 7)
          rest.removeFirst()
        }
        name.append(UInt8(truncatingIfNeeded: code))
      default: name.append(controls[escaped] ?? escaped)
      }
    }
    return name
  }

  /// `\a`, `\b`, `\t`, `\n`, `\v`, `\f`, `\r`
  private static let controls: [UInt8: UInt8] = [0x61: 7, 0x62: 8, 0x74: 9, 0x6E: 10, 0x76: 11, 0x66: 12, 0x72: 13]
}
