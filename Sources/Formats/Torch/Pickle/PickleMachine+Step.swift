import Checkpoint

extension PickleMachine {
  /// Does what one opcode says. Those that torch writes most come first.
  mutating func step(_ opcode: UInt8) throws(CheckpointError) {
    switch opcode {
    case PickleOpcode.binInt1: try pushNew(.int(Int64(try number(UInt8.self))))
    case PickleOpcode.binInt2: try pushNew(.int(Int64(try number(UInt16.self))))
    case PickleOpcode.binInt: try pushNew(.int(Int64(try number(Int32.self))))
    case PickleOpcode.binGet: try get(Int(try number(UInt8.self)))
    case PickleOpcode.longBinGet: try get(Int(try number(UInt32.self)))
    case PickleOpcode.binPut: try put(Int(try number(UInt8.self)))
    case PickleOpcode.longBinPut: try put(Int(try number(UInt32.self)))
    case PickleOpcode.mark: try pushMark()
    case PickleOpcode.tuple: try tuple(from: try popMark())
    case PickleOpcode.emptyTuple: try push(Self.emptyTupleNode)
    case PickleOpcode.tuple1: try tuple(count: 1)
    case PickleOpcode.tuple2: try tuple(count: 2)
    case PickleOpcode.tuple3: try tuple(count: 3)
    case PickleOpcode.reduce: try call(.call)
    case PickleOpcode.newObj: try call(.instance)
    case PickleOpcode.binPersid: try persistent()
    case PickleOpcode.none: try push(Self.noneNode)
    case PickleOpcode.newTrue: try push(Self.trueNode)
    case PickleOpcode.newFalse: try push(Self.falseNode)
    case PickleOpcode.binUnicode: try pushNew(.string(try span(try number(UInt32.self))))
    case PickleOpcode.shortBinUnicode: try pushNew(.string(try span(try number(UInt8.self))))
    case PickleOpcode.binUnicode8: try pushNew(.string(try span(try number(UInt64.self))))
    case PickleOpcode.binFloat: try pushNew(.double(Double(bitPattern: try number(UInt64.self).byteSwapped)))
    case PickleOpcode.setItem: try setItem()
    case PickleOpcode.setItems: try setItems(from: try popMark())
    case PickleOpcode.append: try append()
    case PickleOpcode.appends, PickleOpcode.addItems:
      try appends(from: try popMark(), set: opcode == PickleOpcode.addItems)
    case PickleOpcode.memoize: try put(memoCount)
    case PickleOpcode.emptyDict: try pushNew(.dict(newContainer()))
    case PickleOpcode.emptyList: try pushNew(.list(newContainer()))
    case PickleOpcode.emptySet: try pushNew(.set(newContainer()))
    case PickleOpcode.global: try global()
    case PickleOpcode.stackGlobal: try stackGlobal()
    case PickleOpcode.build: try build()
    default: try stepRare(opcode)
    }
  }

  private mutating func stepRare(_ opcode: UInt8) throws(CheckpointError) {
    switch opcode {
    case PickleOpcode.proto:
      let version = try number(UInt8.self)
      guard version <= 5 else {
        throw CheckpointError(.unsupported, "pickle protocol \(version); 0 to 5 are known")
      }
    case PickleOpcode.frame:
      let count = try number(UInt64.self)
      guard count <= bytes.count - at else { throw damaged("a frame of \(count) bytes; \(bytes.count - at) are left") }
    case PickleOpcode.long1: try long(try span(try number(UInt8.self)))
    case PickleOpcode.long4:
      let count = try number(Int32.self)
      guard count <= limits.longBytes else {
        throw damaged("an integer of \(count) bytes; at most \(limits.longBytes) are supported")
      }
      try long(try span(count))
    case PickleOpcode.binBytes: try pushNew(.bytes(try span(try number(UInt32.self))))
    case PickleOpcode.shortBinBytes: try pushNew(.bytes(try span(try number(UInt8.self))))
    case PickleOpcode.binBytes8: try pushNew(.bytes(try span(try number(UInt64.self))))
    case PickleOpcode.byteArray8: try pushNew(.byteArray(try span(try number(UInt64.self))))
    case PickleOpcode.binString: try pushNew(.byteString(try span(try number(Int32.self))))
    case PickleOpcode.shortBinString: try pushNew(.byteString(try span(try number(UInt8.self))))
    case PickleOpcode.list: try pushNew(.list(newContainer(takeAll(from: try popMark()))))
    case PickleOpcode.dict: try dict(from: try popMark())
    case PickleOpcode.frozenset: try frozenset(from: try popMark())
    case PickleOpcode.newObjEx: try newObjEx()
    case PickleOpcode.obj: try obj(from: try popMark())
    case PickleOpcode.inst: try inst(from: try popMark())
    case PickleOpcode.pop: try popAny()
    case PickleOpcode.popMark: stack.removeSubrange(try popMark()...)
    case PickleOpcode.dup: try push(try top())
    case PickleOpcode.int: try intLine()
    case PickleOpcode.long: try longLine()
    case PickleOpcode.float: try floatLine()
    case PickleOpcode.string: try stringLine()
    case PickleOpcode.unicode: try unicodeLine()
    case PickleOpcode.put: try put(try indexLine())
    case PickleOpcode.get: try get(try indexLine())
    case PickleOpcode.readOnlyBuffer: _ = try top()
    default: throw refused(opcode)
    }
  }

  private func refused(_ opcode: UInt8) -> CheckpointError {
    let what =
      switch opcode {
      case PickleOpcode.ext1, PickleOpcode.ext2, PickleOpcode.ext4:
        "an EXT opcode, which names a class by a number that only the writing program knows"
      case PickleOpcode.persid: "PERSID, a textual persistent id, which torch never writes"
      case PickleOpcode.nextBuffer: "NEXT_BUFFER, data that was kept outside the pickle"
      default: "opcode 0x\(String(opcode, radix: 16)), which no pickle protocol has"
      }
    return damaged("\(what); refused")
  }
}
