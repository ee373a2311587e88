import Checkpoint

/// The pickle machine for protocols 0 to 5, as pure data: it never calls, imports or runs anything.
///
/// Every length is compared with the bytes that are left before anything is made from it, so memory stays in
/// proportion to the input.
struct PickleMachine {
  /// What one pickle may ask for.
  struct Limits {
    /// Nodes, stack entries and memo entries.
    var nodes: Int
    /// MARKs that are open at once. Python's own pickler opens two a level and stops at 1000 levels.
    var marks = 65_536
    /// Bytes of one LONG4.
    var longBytes = 4096

    /// In proportion to the bytes that the file spends on the pickle, compressed or not.
    init(bytesInFile: Int) { nodes = min(1_000_000 + bytesInFile, 100_000_000) }
  }

  let bytes: UnsafeRawBufferPointer
  let limits: Limits
  var at = 0
  var pickle = Pickle()
  var stack: [Int32] = []
  /// Heights of the stack where MARKs lie.
  var marks: [Int] = []
  /// The height that must not be popped below: the last mark's, or 0.
  var floor = 0
  var memo: [Int32] = []
  /// The next index of MEMOIZE: how many entries there are.
  var memoCount = 0
  var globalIndex: [Key: Int32] = [:]
  /// Whether it failed because the bytes ended.
  private(set) var isShort = false

  // Nodes that need no second copy.
  static let noneNode: Int32 = 0
  static let trueNode: Int32 = 1
  static let falseNode: Int32 = 2
  static let emptyTupleNode: Int32 = 3

  private init(_ bytes: UnsafeRawBufferPointer, limits: Limits) {
    self.bytes = bytes
    self.limits = limits
    // A plain pickle's bytes are mostly data, so its length says little.
    pickle.nodes.reserveCapacity(min(bytes.count / 4, limits.nodes, 1 << 18) + 4)
    pickle.nodes += [.none, .bool(true), .bool(false), .tuple(PickleRun(start: 0, count: 0))]
  }

  /// Interprets a pickle up to its STOP.
  ///
  /// - Returns: the pickle, and the number of bytes it took.
  static func run(
    _ bytes: UnsafeRawBufferPointer, limits: Limits
  ) throws(CheckpointError) -> (pickle: Pickle, length: Int) {
    // Spans have 48 bits.
    guard bytes.count < 1 << 47 else {
      throw CheckpointError(.unsupported, "a pickle of \(bytes.count) bytes; at most 128 TiB are supported")
    }
    var machine = PickleMachine(bytes, limits: limits)
    var opcodeOffset = 0
    do throws(CheckpointError) {
      var count = 0
      while true {
        opcodeOffset = machine.at
        guard machine.at < bytes.count else { throw machine.damaged("the pickle ends without STOP") }
        let opcode = bytes[machine.at]
        machine.at += 1
        count += 1
        if opcode == PickleOpcode.stop { break }
        try machine.step(opcode)
      }
      machine.pickle.root = try machine.pop()
      machine.pickle.opcodes = count
    } catch {
      throw error.at("offset \(opcodeOffset)")
    }
    return (machine.pickle, machine.at)
  }

  func damaged(_ message: String) -> CheckpointError { CheckpointError(.damaged, message) }

  /// The error of a pickle whose bytes end too early.
  mutating func short(_ message: String) -> CheckpointError {
    isShort = true
    return damaged(message)
  }

  /// Whether bytes are the start of a pickle, or of several: all that is there can be interpreted, up to the end of the
  /// bytes. Protocols 0 and 1 have no mark at their start by which they could be told.
  static func isStart(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      var machine = PickleMachine(rest, limits: Limits(bytesInFile: rest.count))
      var opcodes = 0
      var stopped = false
      do throws(CheckpointError) {
        while !stopped {
          guard machine.at < rest.count else { throw machine.short("") }
          let opcode = rest[machine.at]
          machine.at += 1
          opcodes += 1
          if opcode == PickleOpcode.stop { stopped = true } else { try machine.step(opcode) }
        }
        _ = try machine.pop()
      } catch {
        // Text may begin like a pickle for one or two opcodes.
        return machine.isShort && opcodes > 4
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[machine.at...])
    }
    return bytes.count > 1
  }

  // MARK: - Stack

  @inline(__always)
  mutating func push(_ node: Int32) throws(CheckpointError) {
    guard stack.count < limits.nodes else { throw damaged("the pickle's stack holds more than \(limits.nodes) values") }
    stack.append(node)
  }

  @inline(__always)
  mutating func pushNew(_ node: PickleNode) throws(CheckpointError) { try push(try make(node)) }

  @inline(__always)
  mutating func make(_ node: PickleNode) throws(CheckpointError) -> Int32 {
    guard pickle.nodes.count < limits.nodes else {
      throw damaged("the pickle holds more than \(limits.nodes) values")
    }
    pickle.nodes.append(node)
    return Int32(truncatingIfNeeded: pickle.nodes.count - 1)
  }

  @inline(__always)
  mutating func pop() throws(CheckpointError) -> Int32 {
    guard stack.count > floor else { throw damaged("the opcode needs a value that is not on the stack") }
    return stack.removeLast()
  }

  @inline(__always)
  func top() throws(CheckpointError) -> Int32 {
    guard stack.count > floor, let top = stack.last else {
      throw damaged("the opcode needs a value that is not on the stack")
    }
    return top
  }

  mutating func pushMark() throws(CheckpointError) {
    guard marks.count < limits.marks else { throw damaged("more than \(limits.marks) open MARKs") }
    marks.append(stack.count)
    floor = stack.count
  }

  /// Removes the last MARK; what lay above it is the stack from the height returned.
  mutating func popMark() throws(CheckpointError) -> Int {
    guard let mark = marks.popLast() else { throw damaged("the opcode needs a MARK, and there is none") }
    floor = marks.last ?? 0
    return mark
  }

  /// POP: of a value, or of a MARK that lies on top.
  mutating func popAny() throws(CheckpointError) {
    if marks.last == stack.count { _ = try popMark() } else { _ = try pop() }
  }

  // MARK: - Input

  @inline(__always)
  mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(CheckpointError) -> Number {
    let size = MemoryLayout<Number>.size
    guard bytes.count - at >= size else { throw short("the pickle ends within a number") }
    defer { at += size }
    return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: Number.self))
  }

  /// A run of bytes whose length was read before.
  @inline(__always)
  mutating func span(_ count: some BinaryInteger) throws(CheckpointError) -> PickleSpan {
    guard count >= 0, count <= bytes.count - at else {
      let message = "declares \(count) bytes; \(bytes.count - at) are left"
      throw count < 0 ? damaged(message) : short(message)
    }
    let span = PickleSpan(start: at, count: Int(truncatingIfNeeded: count))
    at += span.count
    return span
  }

  /// The bytes up to the next line feed, which is skipped.
  mutating func line() throws(CheckpointError) -> UnsafeRawBufferPointer {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
    guard let end = rest.firstIndex(of: 0x0A) else { throw short("the pickle ends within a line") }
    at += end + 1
    return UnsafeRawBufferPointer(rebasing: rest[..<end])
  }

  // MARK: - Memo

  mutating func put(_ index: Int) throws(CheckpointError) {
    guard index >= 0, index < limits.nodes else { throw damaged("memo index \(index) is out of bounds") }
    let node = try top()
    if index >= memo.count {
      if index > memo.count { memo.append(contentsOf: repeatElement(-1, count: index - memo.count)) }
      memo.append(node)
      memoCount += 1
    } else {
      if memo[index] < 0 { memoCount += 1 }
      memo[index] = node
    }
  }

  mutating func get(_ index: Int) throws(CheckpointError) {
    guard index >= 0, index < memo.count, memo[index] >= 0 else {
      throw damaged("memo entry \(index) was never put")
    }
    try push(memo[index])
  }
}
