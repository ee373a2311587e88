/// Makes small archives by hand: one pickle, and storages.
enum TorchArchiveBuilder {
  static func archive(pickle: [UInt8], storages: [[UInt8]] = [], more: [(String, [UInt8])] = []) -> [UInt8] {
    var records = [("data.pkl", pickle), ("version", Array("3\n".utf8))]
    for (index, storage) in storages.enumerated() { records.append(("data/\(index)", storage)) }
    records += more
    var body: [UInt8] = []
    var directory: [UInt8] = []
    for (name, data) in records {
      let name = Array("archive/\(name)".utf8)
      let sizes = le32(crc32(data)) + le32(UInt32(data.count)) + le32(UInt32(data.count)) + le16(name.count)
      let offset = le32(UInt32(body.count))
      body += [0x50, 0x4B, 3, 4] + le16(20) + le16(0) + le16(0) + le16(0) + le16(0x21) + sizes + le16(0) + name + data
      directory += [0x50, 0x4B, 1, 2] + le16(20) + le16(20) + le16(0) + le16(0) + le16(0) + le16(0x21) + sizes
      directory += le16(0) + le16(0) + le16(0) + le16(0) + le32(0) + offset + name
    }
    let count = le16(records.count)
    let end = [0x50, 0x4B, 5, 6] + le16(0) + le16(0) + count + count + le32(UInt32(directory.count))
    return body + directory + end + le32(UInt32(body.count)) + le16(0)
  }

  private static func le16(_ number: Int) -> [UInt8] { [UInt8(number & 0xFF), UInt8(number >> 8)] }

  private static func le32(_ number: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
  }
}
