import Checkpoint

/// Writes a protocol 2 pickle with the opcodes that `torch.load(weights_only=True)` takes, and no others
/// (PyTorch 2.13, `torch/_weights_only_unpickler.py`).
///
/// The memo holds what repeats in every tensor; a pickle needs no memo to be valid.
struct PickleWriter {
  private(set) var bytes: [UInt8] = []
  private var memo: [Key: Int] = [:]
  private var memoCount = 0

  init() {
    bytes.reserveCapacity(1 << 16)
    bytes += [PickleOpcode.proto, 2]
  }

  mutating func op(_ opcode: UInt8) { bytes.append(opcode) }

  mutating func finish() -> [UInt8] {
    op(PickleOpcode.stop)
    return bytes
  }

  private mutating func append<Number: FixedWidthInteger>(_ number: Number) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  // MARK: - Leaves

  mutating func none() { op(PickleOpcode.none) }

  mutating func bool(_ value: Bool) { op(value ? PickleOpcode.newTrue : PickleOpcode.newFalse) }

  mutating func int(_ value: Int64) {
    if let small = UInt8(exactly: value) {
      bytes += [PickleOpcode.binInt1, small]
    } else if let medium = UInt16(exactly: value) {
      op(PickleOpcode.binInt2)
      append(medium)
    } else if let word = Int32(exactly: value) {
      op(PickleOpcode.binInt)
      append(word)
    } else {
      long(BigInt(twosComplement: (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }))
    }
  }

  /// - Returns: false where LONG1 cannot hold it; then nothing was written.
  @discardableResult
  mutating func long(_ value: BigInt) -> Bool {
    guard let count = UInt8(exactly: value.bytes.count) else { return false }
    bytes += [PickleOpcode.long1, count]
    bytes += value.bytes
    return true
  }

  mutating func double(_ value: Double) {
    op(PickleOpcode.binFloat)
    append(value.bitPattern.byteSwapped)
  }

  /// Text as UTF-8, lone surrogates as `surrogatepass` has them.
  mutating func text(_ utf8: some Collection<UInt8>) {
    op(PickleOpcode.binUnicode)
    append(UInt32(truncatingIfNeeded: utf8.count))
    bytes.append(contentsOf: utf8)
  }

  mutating func text(_ text: String) { self.text(text.utf8) }

  /// Text that is written in full the first time only.
  mutating func repeatedText(_ text: String) { memoised(.string(text)) { $0.text(text) } }

  /// `_codecs.encode(text, 'latin1')`: bytes without any bytes opcode.
  mutating func byteString(_ raw: [UInt8]) {
    call("_codecs", "encode") { writer in
      var utf8: [UInt8] = []
      utf8.reserveCapacity(raw.count * 3 / 2)
      for byte in raw {
        if byte < 0x80 { utf8.append(byte) } else { utf8 += [0xC0 | byte >> 6, 0x80 | byte & 0x3F] }
      }
      writer.text(utf8)
      writer.repeatedText("latin1")
      writer.op(PickleOpcode.tuple2)
    }
  }

  // MARK: - Structure

  mutating func global(_ module: String, _ name: String) {
    memoised(.tuple([.string(module), .string(name)])) { writer in
      writer.op(PickleOpcode.global)
      writer.bytes.append(contentsOf: "\(module)\n\(name)\n".utf8)
    }
  }

  /// A call: `arguments` writes one tuple.
  mutating func call(_ module: String, _ name: String, _ arguments: (inout PickleWriter) -> Void) {
    global(module, name)
    arguments(&self)
    op(PickleOpcode.reduce)
  }

  mutating func ints(_ values: [Int]) {
    if values.count > 3 { op(PickleOpcode.mark) }
    for value in values { int(Int64(value)) }
    endTuple(values.count)
  }

  /// Ends a tuple of so many values; of more than three only when a MARK was written before them.
  mutating func endTuple(_ count: Int) {
    switch count {
    case 0: op(PickleOpcode.emptyTuple)
    case 1: op(PickleOpcode.tuple1)
    case 2: op(PickleOpcode.tuple2)
    case 3: op(PickleOpcode.tuple3)
    default: op(PickleOpcode.tuple)
    }
  }

  mutating func emptyOrderedDict() { call("collections", "OrderedDict") { $0.op(PickleOpcode.emptyTuple) } }

  private mutating func memoised(_ key: Key, _ write: (inout PickleWriter) -> Void) {
    if let index = memo[key] { return get(index) }
    write(&self)
    memo[key] = put()
  }

  /// Remembers the value on top.
  mutating func put() -> Int {
    let index = memoCount
    memoCount += 1
    if let small = UInt8(exactly: index) {
      bytes += [PickleOpcode.binPut, small]
    } else {
      op(PickleOpcode.longBinPut)
      append(UInt32(truncatingIfNeeded: index))
    }
    return index
  }

  mutating func get(_ index: Int) {
    if let small = UInt8(exactly: index) {
      bytes += [PickleOpcode.binGet, small]
    } else {
      op(PickleOpcode.longBinGet)
      append(UInt32(truncatingIfNeeded: index))
    }
  }
}
