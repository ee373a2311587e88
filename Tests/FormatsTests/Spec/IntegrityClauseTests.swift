import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Section 11, and SEC-6. INT-2 is proved byte by byte in `NativeDamageTests`.
@Suite struct IntegrityClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  private func write() throws -> Value {
    let tied = try tensor([1, 2, 3, 4, 5, 6], [3, 2])
    let tree = dict(
      ("a", tied), ("b", tied), ("c", try tensor([7, 8, 9, 1, 2, 3], [3, 2], grad: true)), ("n", .int(1)))
    try NativeFormat.write(tree, to: path, options: replacing)
    return tree
  }

  /// Changes the manifest's text for one of the same length, and gives it the digest that it then has.
  private func forge(_ old: String, _ new: String) throws {
    #expect(old.utf8.count == new.utf8.count)
    try edit(path) { root in
      let dataset = try root.openDataset("manifest")
      var bytes = [UInt8](repeating: 0, count: try dataset.shape.elementCount ?? 0)
      try bytes.withUnsafeMutableBytes { try dataset.read(into: $0) }
      let place = try unwrapped(bytes.firstRange(of: Array(old.utf8)))
      bytes.replaceSubrange(place, with: Array(new.utf8))
      let digits = 31..<63
      bytes.replaceSubrange(digits, with: Array(repeating: 0x30, count: 32))
      bytes.replaceSubrange(digits, with: Array(bytes.withUnsafeBytes { XXH3.hash($0).hex }.utf8))
      try bytes.withUnsafeBytes { try dataset.write($0) }
    }
  }

  /// INT-1: each statement of the manifest is compared with what the tree has.
  @Test(arguments: [
    (
      #""c":{"dtype":"float32","shape":[3,2]"#, #""c":{"dtype":"float32","shape":[2,3]"#,
      "/c: is float32 [3, 2], the manifest"
    ),
    (#""c":{"dtype":"float32""#, #""z":{"dtype":"float32""#, "/c: is in the file but not in its manifest"),
    (#""c":{"dtype":"float32""#, #""z":{"dtype":"float32""#, "/z: is in the manifest but not in the file"),
    (#""requires_grad":true"#, #""requires_gras":true"#, "/c: has another kind or requires_grad"),
    (#""alias_of":"a""#, #""alias_if":"a""#, "/b: shares its data with another tensor"),
    (#""alias_of":"a""#, #""alias_of":"c""#, "/b: shares its data with another tensor"),
    (#""metadata_xxh3":""#, #""metadata_xxh2":""#, "/manifest: no longer fits the file"),
    (#""file_size":"#, #""file_sise":"#, "/manifest: no longer fits the file"),
  ])
  func aLyingManifestIsFound(old: String, new: String, problem: String) throws {
    _ = try write()
    try forge(old, new)
    #expect(problems(path).contains { $0.hasPrefix(problem) }, "\(problems(path))")
  }

  /// INT-1, MAN-2: a reader that believes the manifest takes the tensors' order from it.
  @Test func anotherOrderIsFound() throws {
    _ = try write()
    let text = String(decoding: try Survey(path).node("manifest").bytes, as: UTF8.self)
    let (a, b, c) = (
      try unwrapped(text.firstRange(of: #""a":{"#)), try unwrapped(text.firstRange(of: #""b":{"#)),
      try unwrapped(text.firstRange(of: #""c":{"#))
    )
    let (first, second) = (text[a.lowerBound..<b.lowerBound], text[b.lowerBound..<c.lowerBound])
    try forge(String(first + second), String(second + first))
    #expect(problems(path).contains { $0.hasPrefix("/manifest: lists the tensors in another order") })
  }

  /// INT-1: the digests of a tensor, and the place that the manifest gives.
  @Test func wrongDigestsAndPlacesAreFound() throws {
    _ = try write()
    let c = try Survey(path).node("c")
    let hash = c.bytes.withUnsafeBytes { XXH3.hash($0).hex }
    try forge(hash, String(hash.reversed()))
    #expect(problems(path).contains { $0.hasPrefix("/c: the digest of its bytes is \(hash)") || $0.contains(hash) })
    _ = try write()
    let offset = try unwrapped(c.offset)
    try forge("[\(offset),\(offset + 24)]", "[\(offset + 8),\(offset + 32)]")
    // The parts between the tensors are others then, and so is their digest.
    #expect(problems(path).contains { $0.hasPrefix("/manifest: no longer fits the file") })
  }

  /// INT-1: the content digest is checked by itself.
  @Test func aWrongContentDigestIsFound() throws {
    _ = try write()
    try edit(path) { try $0.set("content_digest", .string("xxh3-128:" + String(repeating: "0", count: 32))) }
    #expect(problems(path).contains { $0.hasPrefix("/: the content digest is") })
  }

  /// SEC-6: tensors of the manifest that share bytes; it is not used, and the tree is read.
  @Test func overlappingTensorsOfTheManifestAreNotBelieved() throws {
    let tree = try write()
    let (a, c) = (try unwrapped(try Survey(path).node("a").offset), try unwrapped(try Survey(path).node("c").offset))
    try forge("[\(c),\(c + 24)]", "[\(a),\(a + 24)]")
    let read = try NativeFormat.read(path)
    #expect(read.warnings.contains { $0.contains("overlap another tensor") })
    #expect(try sameContent(read.root, tree))
    #expect(problems(path).contains { $0.contains("overlap another tensor") })
  }
}
