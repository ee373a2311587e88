import ArgumentParser

/// A number of bytes as people write it: `5GB`, `500MB`, `10KB`, `2GiB`, `4096`. As in Hugging Face's libraries, KB is
/// 1000 bytes and KiB is 1024.
struct ByteCount: ExpressibleByArgument {
  let bytes: Int

  private static let units: [(String, Int)] = [
    ("KIB", 1 << 10), ("MIB", 1 << 20), ("GIB", 1 << 30), ("TIB", 1 << 40),
    ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1), ("", 1),
  ]

  init?(argument: String) {
    let text = argument.uppercased()
    guard let (suffix, factor) = Self.units.first(where: { text.hasSuffix($0.0) }),
      let number = Double(text.dropLast(suffix.count).trimmingSpaces), number * Double(factor) >= 1,
      number * Double(factor) < 0x1p62
    else { return nil }
    bytes = Int(number * Double(factor))
  }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
