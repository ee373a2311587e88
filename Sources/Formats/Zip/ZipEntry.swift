/// One record of a zip archive, as its central directory describes it and its local header confirms.
struct ZipEntry: Sendable {
  enum Method: Int, Sendable {
    case stored = 0
    case deflated = 8
  }

  /// The name without the top folder.
  var name: String
  var method: Method
  /// CRC-32 of the content; 0 in an archive that records none.
  var crc: UInt32
  /// Bytes of the content.
  var size: Int
  /// Where the local header starts.
  var header: Int
  /// Where in the file the stored or compressed bytes lie.
  var payload: Range<Int>
}
