import CDeflate
import Checkpoint

/// CRC-32 as zip has it (libdeflate, at memory speed).
struct Checksum: Sendable {
  private(set) var value: UInt32 = 0

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    value = libdeflate_crc32(value, start, bytes.count)
  }

  static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var sum = Checksum()
    sum.update(bytes)
    return sum.value
  }

  /// The error for bytes whose CRC-32 is not the recorded one.
  static func mismatch(_ found: UInt32, expected: UInt32, in bytes: UnsafeRawBufferPointer) -> CheckpointError {
    let numbers = "its CRC-32 is \(hexadecimal(found)), the archive records \(hexadecimal(expected))"
    if isZero(bytes) {
      return CheckpointError(
        .damaged, "all bytes are zero and \(numbers): a placeholder (torch.serialization.skip_data), or lost data",
        advice: "Fill in the data first, or pass --no-verify-source to take the zeros.")
    }
    return CheckpointError(
      .damaged, "the bytes are damaged: \(numbers)",
      advice: "Get the file again, or pass --no-verify-source to take it as it is.")
  }

  private static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return false }
    // Every byte equals the one before it, and the first is zero.
    return bytes[0] == 0 && memoryEqual(start, start + 1, bytes.count - 1)
  }

  private static func hexadecimal(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
