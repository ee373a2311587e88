import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Sections 10 and 11: the manifest, recomputed from the file's bytes.
@Suite struct ManifestClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  private func tree() throws -> Value {
    guard case .dict(var dict) = try trainingTree() else { throw Missing() }
    let source = BufferSource(elements: [Float(1), 2])
    for (name, kind) in [("p", .parameter), ("b", .buffer(persistent: false))] as [(String, Tensor.Kind)] {
      let tensor = try Tensor(dtype: .float32, shape: [2], source: source, kind: kind, requiresGrad: name == "p")
      dict.entries.append(Dict.Entry(.string(name), .tensor(tensor)))
    }
    dict.entries.append(Dict.Entry(.string("none"), try tensor([], [0, 3])))
    let packed = try Tensor(dtype: .int4, shape: [3, 5], source: BufferSource([1, 2, 3, 4, 5, 6, 7, 8]))
    dict.entries.append(Dict.Entry(.string("packed"), .tensor(packed)))
    return .dict(dict)
  }

  private func hash(_ bytes: some Collection<UInt8>) -> String { Array(bytes).withUnsafeBytes { XXH3.hash($0).hex } }

  private func manifest() throws -> (json: Value, range: Range<Int>) {
    let node = try Survey(path).node("manifest")
    let start = try unwrapped(node.offset)
    return (try PackedJSON.value(node.bytes), start..<(start + node.bytes.count))
  }

  /// MAN-1, MAN-3: where it lies, how it begins, and its three numbers.
  @Test func theManifestCoversTheFile() throws {
    try NativeFormat.write(try tree(), to: path)
    let bytes = try readBytes(path)
    let file = try Survey(path)
    let node = try file.node("manifest")
    #expect(node.layout == .contiguous && node.type == .uint8 && node.shape == .simple([node.bytes.count]))
    #expect(node.attributes == ["encoding-type": .string("manifest")])
    let (json, range) = try manifest()
    let head = Array(#"{"manifest":"1.0","self_xxh3":""#.utf8)
    #expect(bytes[range].starts(with: head))
    let digits = head.count..<(head.count + 32)
    #expect(node.bytes[digits.upperBound] == 0x22)
    var blank = node.bytes
    blank.replaceSubrange(digits, with: Array(repeating: 0x30, count: 32))
    #expect(hash(blank) == String(decoding: node.bytes[digits], as: UTF8.self))
    guard case .int(let size)? = json.value("file_size"), case .string(let metadata)? = json.value("metadata_xxh3")
    else {
      throw Missing()
    }
    #expect(Int(size) == bytes.count)
    var covered = Set(range)
    for node in file.all where node.attributes["dtype"] != nil {
      if let offset = node.offset { covered.formUnion(offset..<(offset + node.bytes.count)) }
    }
    // Short runs are padding, but for one at the file's end.
    var (rest, run): ([UInt8], [UInt8]) = ([], [])
    for index in bytes.indices {
      if !covered.contains(index) {
        run.append(bytes[index])
      } else {
        if run.count >= 64 { rest += run }
        run = []
      }
    }
    #expect(hash(rest + run) == metadata)
  }

  /// MAN-2: one member a tensor, in the order in which the file is read, with where its bytes lie.
  @Test func theManifestListsEveryTensor() throws {
    try NativeFormat.write(try tree(), to: path)
    let bytes = try readBytes(path)
    let file = try Survey(path)
    guard case .dict(let tensors)? = try manifest().json.value("tensors") else { throw Missing() }
    let names = ["wte.weight", "fc.weight", "fc.bias"]
    let paths =
      (names + ["lm_head.weight"]).map { "model/\($0)" }
      + ["exp_avg", "exp_avg_sq"].flatMap { slot in names.map { "optimizer/\(slot)/\($0)" } } + [
        "p", "b", "none", "packed",
      ]
    #expect(tensors.entries.map(\.key) == paths.map(Key.string))
    for (path, entry) in zip(paths, tensors.entries) {
      guard case .dict(let entry) = entry.value, case .sequence(.list, let offsets)? = entry["offsets"],
        case .int(let begin)? = offsets.first, case .int(let end)? = offsets.last,
        case .string(let digest)? = entry["xxh3"],
        case .string(let dtype)? = entry["dtype"], case .sequence(.list, let shape)? = entry["shape"]
      else { throw Missing() }
      var optional: [String] = []
      for (name, value) in [("alias_of", "alias_of"), ("kind", "kind")] {
        if case .string(let text)? = entry[name] { optional.append("\(value)=\(text)") }
      }
      if case .bool(true)? = entry["requires_grad"] { optional.append("grad") }
      let expected = [
        "model/lm_head.weight": ["alias_of=model/wte.weight"], "p": ["kind=parameter", "grad"],
        "b": ["alias_of=p", "kind=buffer-not-persistent"],
      ]
      #expect(optional == expected[path, default: []], "\(path)")
      #expect(entry.count == 4 + optional.count)
      let node = try file.node(path == "b" ? "p" : path)
      #expect(Int(begin) == (node.bytes.isEmpty ? 0 : node.offset), "\(path)")
      #expect(Int(end - begin) == node.bytes.count)
      #expect(bytes[Int(begin)..<Int(end)].elementsEqual(node.bytes))
      #expect(digest == hash(node.bytes))
      #expect(dtype == node.text("dtype"))
      let sizes = shape.map { if case .int(let size) = $0 { Int(size) } else { -1 } }
      #expect(sizes == (path == "packed" ? [3, 5] : node.shape?.dimensions))
    }
  }

  /// MAN-2: SHA-256 of a tensor beside its XXH3, where the content digest is one.
  @Test func theManifestHasSHA256WhereAskedFor() throws {
    var options = replacing
    options.digest = .sha256
    let abc = Value.tensor(try Tensor(dtype: .uint8, shape: [3], source: BufferSource(Array("abc".utf8))))
    try NativeFormat.write(dict(("t", abc)), to: path, options: options)
    let sha256 = try manifest().json.value("tensors")?.value("t")?.value("sha256")
    guard case .string(let text)? = sha256 else { throw Missing() }
    #expect(text == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(problems(path) == [])
  }

  /// MAN-4: what another program has changed is read as it is now, and the reader says that it did not use the manifest.
  @Test func anEditedFileIsReadThroughTheTree() throws {
    let base = dict(("m", dict(("a", try tensor([1], [1])), ("b", try tensor([2], [1])))), ("n", .int(1)))
    let added = dict(
      ("m", dict(("a", try tensor([1], [1])), ("b", try tensor([2], [1])), ("c", .int(3)))), ("n", .int(1)))
    let edits: [(Value, (borrowing Group) throws -> Void)] = [
      (added, { try $0.openGroup("m").putInt("c", 3) }),
      (dict(("m", dict(("a", try tensor([1], [1])))), ("n", .int(1))), { try $0.openGroup("m").remove("b") }),
      (
        dict(("m", dict(("a", try tensor([1], [1], kind: .parameter)), ("b", try tensor([2], [1])))), ("n", .int(1))),
        { try $0.openGroup("m").openDataset("a").writeAttribute("kind", .string("parameter")) }
      ),
      (
        dict(("m", dict(("a", try tensor([1], [1])), ("b", try tensor([2], [1])))), ("n", .int(8))),
        { root in
          let dataset = try root.openDataset("n")
          try littleEndian([Int64(8)]).withUnsafeBytes { try dataset.write($0) }
        }
      ),
      (base, { try $0.remove("manifest") }), (base, { try $0.set("note", .int(1)) }),
      (
        base,
        { root in
          let dataset = try root.openDataset("manifest")
          try [UInt8](repeating: 0x20, count: try dataset.shape.elementCount ?? 0).withUnsafeBytes {
            try dataset.write($0)
          }
        }
      ),
    ]
    for (index, (expected, change)) in edits.enumerated() {
      try NativeFormat.write(base, to: path, options: replacing)
      try edit(path, change)
      let read = try NativeFormat.read(path)
      #expect(read.warnings.contains { $0.contains("the manifest is not used") }, "\(index)")
      #expect(try sameContent(read.root, expected), "\(index)")
      #expect(problems(path) != [], "\(index)")
    }
  }

  /// MAN-4: a tensor that was changed in place still lies where the manifest says; only a verifying reader objects.
  @Test func aTensorChangedInPlaceIsRead() throws {
    try NativeFormat.write(dict(("a", try tensor([1], [1])), ("n", .int(1))), to: path)
    try edit(path) { root in
      let dataset = try root.openDataset("a")
      try littleEndian([Float(5)]).withUnsafeBytes { try dataset.write($0) }
    }
    let read = try NativeFormat.read(path)
    #expect(read.warnings == [])
    #expect(try sameContent(read.root, dict(("a", try tensor([5], [1])), ("n", .int(1)))))
    #expect(problems(path).contains { $0.hasPrefix("/a: the digest of its bytes is") })
    #expect(problems(path).contains { $0.hasPrefix("/: the content digest is") })
  }
}
