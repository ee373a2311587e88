import Checkpoint

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A hand-made distributed checkpoint, with everything it claims open to lies. As made: `w`, float32 [4, 2], in a file
/// of two rows for each of two ranks, and the value `step`.
struct DCPBuilder {
  struct Chunk {
    var offsets: [Int]
    var sizes: [Int]
  }

  /// An entry of `storage_data`; numbers are texts so that they may be of any size.
  struct Stored {
    var name: String
    var offsets: [Int]?
    var file: String
    var start = "0"
    var length: String
    var transforms = "N"
  }

  var size = [4, 2]
  var dtype = "ctorch\nfloat32\n"
  var chunks = [Chunk(offsets: [0, 0], sizes: [2, 2]), Chunk(offsets: [2, 0], sizes: [2, 2])]
  var stored: [Stored]
  /// (name, path in pickle opcodes)
  var paths = [("w", "Vw\n"), ("step", "Vstep\n")]
  var files: [(name: String, bytes: [UInt8])]
  /// How many more entries name the tensor's metadata.
  var copies = 0
  /// Comes before the pickle's end.
  var tail = ""

  init() throws {
    let halves = try [[Float](arrayLiteral: 0, 1, 2, 3), [4, 5, 6, 7]].map { try Self.archive(tensor($0, [2, 2])) }
    let step = try Self.archive(.int(7))
    files = [("__0_0.distcp", halves[0] + step), ("__1_0.distcp", halves[1])]
    stored = [
      Stored(name: "w", offsets: [0, 0], file: "__0_0.distcp", length: "\(halves[0].count)"),
      Stored(name: "w", offsets: [2, 0], file: "__1_0.distcp", length: "\(halves[1].count)"),
      Stored(
        name: "step", offsets: nil, file: "__0_0.distcp", start: "\(halves[0].count)", length: "\(step.count)"),
    ]
  }

  static func archive(_ value: Value) throws -> [UInt8] {
    let file = try ScratchFile("part.pt")
    try TorchZip.write(value, to: file.path)
    return try fileBytes(file.path)
  }

  // MARK: - The pickle

  private static let module = "torch.distributed.checkpoint.metadata"

  private static func object(_ name: String, _ fields: [(String, String)], module: String = module) -> String {
    "c\(module)\n\(name)\n)\u{81}" + dict(fields.map { ("V\($0.0)\n", $0.1) }) + "b"
  }

  private static func dict(_ items: [(String, String)]) -> String {
    "}(" + items.map { $0.0 + $0.1 }.joined() + "u"
  }

  static func sizes(_ numbers: [Int]) -> String {
    "ctorch\nSize\n((" + numbers.map { "L\($0)L\n" }.joined() + "ttR"
  }

  var metadata: [UInt8] {
    let tensor = Self.object(
      "TensorStorageMetadata",
      [
        (
          "properties",
          "c\(Self.module)\nTensorProperties\n)\u{81}(\(dtype)NI00\nc\(Self.module)\n_MEM_FORMAT_ENCODING\n(I0\ntRI00\ntb"
        ),
        ("size", Self.sizes(size)),
        (
          "chunks",
          "("
            + chunks.map {
              Self.object(
                "ChunkStorageMetadata", [("offsets", Self.sizes($0.offsets)), ("sizes", Self.sizes($0.sizes))])
            }.joined() + "l"
        ),
      ])
    let places = stored.map { part in
      (
        Self.object(
          "MetadataIndex",
          [("fqn", "V\(part.name)\n"), ("offset", part.offsets.map(Self.sizes) ?? "N"), ("index", "N")]),
        Self.object(
          "_StorageInfo",
          [
            ("relative_path", "V\(part.file)\n"), ("offset", "L\(part.start)L\n"), ("length", "L\(part.length)L\n"),
            ("transform_descriptors", part.transforms),
          ], module: "torch.distributed.checkpoint.filesystem")
      )
    }
    let text = Self.object(
      "Metadata",
      [
        (
          "state_dict_metadata",
          Self.dict(
            [("Vw\n", tensor + "p9\n")] + (0..<copies).map { ("Vw\($0)\n", "g9\n") } + [
              ("Vstep\n", Self.object("BytesStorageMetadata", []))
            ])
        ),
        ("planner_data", Self.dict(paths.map { ("V\($0.0)\n", "(\($0.1)t") })), ("storage_data", Self.dict(places)),
        ("version", "V1.0.0\n"),
      ])
    return [0x80, 2] + LegacyBuilder.bytes(text + tail + ".")
  }

  /// The folder, which goes with the object that is returned.
  func folder(metadata: String = ".metadata") throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    for (name, bytes) in files { writeBytes(bytes, to: folder.file(name)) }
    writeBytes(self.metadata, to: folder.file(metadata))
    return folder
  }
}

/// Reads a folder as the command does, every tensor's bytes included.
func readFolder(_ path: String) throws -> Value {
  let root = try Format.input(path).read(path, Format.ReadOptions()).checkpoint.root
  try touchAll(root)
  return root
}
