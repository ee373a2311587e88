import Checkpoint
import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The repository's `fixtures/`.
let fixtureFolder: String = {
  var parts = #filePath.split(separator: "/")
  parts.removeLast(4)
  return "/" + parts.joined(separator: "/") + "/fixtures"
}()

func torchFixture(_ name: String) -> String { "\(fixtureFolder)/torch/\(name).pt" }

func readFixture(_ name: String) throws -> Checkpoint { try TorchZip.read(torchFixture(name)) }

func fileBytes(_ path: String) throws -> [UInt8] {
  let file = try MappedFile(path)
  return withExtendedLifetime(file) { Array(file.bytes) }
}

func namesIn(_ folder: String) -> [String] {
  guard let listing = opendir(folder) else { return [] }
  defer { closedir(listing) }
  var names: [String] = []
  while let entry = readdir(listing) {
    names.append(
      withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      })
  }
  return names.filter { !$0.hasPrefix(".") }.sorted()
}

/// A file that goes when the test ends.
final class ScratchFile {
  let path: String

  init(_ name: String = "scratch.pt", _ bytes: [UInt8] = []) throws {
    path = "/tmp/ckpt-torch-\(getpid())-\(UInt32.random(in: 0 ... .max))-\(name)"
    if !bytes.isEmpty { try write(bytes) }
  }

  func write(_ bytes: [UInt8]) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    guard descriptor >= 0, writeAll(descriptor, bytes, bytes.count) == bytes.count else {
      throw CheckpointError(.inputOutput, "cannot write", file: path)
    }
  }

  deinit { unlink(path) }
}

/// Reads every tensor's bytes, as a conversion does.
func touchAll(_ value: Value) throws {
  switch value {
  case .tensor(let tensor): try tensor.source.forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
  case .sequence(_, let items): for item in items { try touchAll(item) }
  case .dict(let dict):
    for entry in dict.entries { try touchAll(entry.value) }
    for field in dict.attributes { try touchAll(field.value) }
  case .record(let record): for field in record.fields { try touchAll(field.value) }
  default: break
  }
}

/// A zip's CRC-32, byte by byte.
func crc32(_ bytes: some Swift.Sequence<UInt8>) -> UInt32 {
  var crc = ~UInt32(0)
  for byte in bytes { crc = crcTable[Int((crc ^ UInt32(byte)) & 0xFF)] ^ crc >> 8 }
  return ~crc
}

private let crcTable: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? 0xEDB8_8320 ^ crc >> 1 : crc >> 1 }
}

func hex(_ number: some FixedWidthInteger & UnsignedInteger, _ digits: Int) -> String {
  let text = String(number, radix: 16)
  return String(repeating: "0", count: digits - text.count) + text
}

private func writeAll(_ descriptor: Int32, _ bytes: [UInt8], _ count: Int) -> Int { write(descriptor, bytes, count) }
