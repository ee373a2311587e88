import Checkpoint
import Testing

/// Digests as text, and names as paths, in JSON.
@Suite struct DigestTextTests {
  static let xxh3 = "0123456789abcdeffedcba9876543210"
  static let sha256 = xxh3 + "00112233445566778899aabbccddeeff"

  private func scan<T>(
    _ text: String, _ body: (inout JSONScanner) throws(CheckpointError) -> T
  ) throws -> T {
    try Array(text.utf8).withUnsafeBytes { bytes in
      var scanner = JSONScanner(bytes)
      return try body(&scanner)
    }
  }

  @Test(arguments: [(Digest.Algorithm.xxh3, xxh3), (.sha256, sha256)])
  func digitsReadBackAsWritten(_ algorithm: Digest.Algorithm, _ hex: String) throws {
    let digest = try scan("\"\(hex)\"") { (scanner) throws(CheckpointError) in try scanner.digest(algorithm) }
    #expect(digest.hex == hex)
    #expect(digest == Digest(text: "\(algorithm.rawValue):\(hex)"))
    #expect(digest == Digest(algorithm, bytes: digest.bytes))
    #expect(digest.bytes.count == algorithm.byteCount && digest.bytes.starts(with: [0x01, 0x23, 0x45]))
    var json = JSONWriter()
    json.digest(digest)
    #expect(String(decoding: json.bytes, as: UTF8.self) == "\"\(digest)\"")
  }

  @Test(arguments: 0..<32)
  func onlyLowerCaseDigitsAreDigits(_ position: Int) {
    for byte in UInt8(0x20)...0xFF where byte != 0x22 && byte != 0x5C {
      var bytes = Array("\"\(Self.xxh3)\"".utf8)
      bytes[position + 1] = byte
      let isDigit = (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
      let isRead = bytes.withUnsafeBytes { buffer in
        var scanner = JSONScanner(buffer)
        return (try? scanner.digest(.xxh3)) != nil
      }
      #expect(isRead == isDigit, "byte \(byte)")
    }
  }

  @Test func halvesOfOneTextAreNotTheWhole() throws {
    let long = Digest(text: "sha256:\(Self.sha256)")
    let short = Digest(text: "xxh3-128:\(Self.xxh3)")
    #expect(long != short)
    #expect(long != Digest(text: "sha256:\(Self.xxh3)\(Self.xxh3)"))
  }

  @Test func pathsAreSplit() throws {
    let text = #"{"a/b/c":1,"a/b/d":1,"e":1,"/f":1,"a/\u0062/g":1,"ä/ö":1}"#
    let found = try scan(text) { (scanner) throws(CheckpointError) in
      var (first, parent, found) = (true, "", [String]())
      try scanner.beginObject()
      while let name = try scanner.nextPath(first: &first, parent: &parent) {
        found.append("\(parent)|\(name)")
        try scanner.skipValue()
      }
      return found
    }
    #expect(found == ["a/b|c", "a/b|d", "|e", "|/f", "a/b|g", "ä|ö"])
  }
}
