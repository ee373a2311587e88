import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Sections 3 and 14.
@Suite struct RootClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  /// ROOT-1
  @Test func theRootSaysWhatTheFileIs() throws {
    let root = try surveyed(dict(("a", .int(1))), folder).node("")
    #expect(root.text("format") == "ckpt")
    #expect(root.text("format_version") == "1.0")
    for name in ["format", "format_version", "root"] {
      try NativeFormat.write(dict(("a", .int(1))), to: path, options: replacing)
      try edit(path) { try $0.removeAttribute(name) }
      #expect(refusal(path).contains(name))
    }
  }

  /// ROOT-2: the four places of the tree.
  @Test func theRootAttributeNamesTheTree() throws {
    let weights = dict(("a.weight", try tensor([1, 2], [2])))
    let adam = optimizer([(.int(0), dict(("m", try tensor([1], [1]))))], [group([.int(0)])])
    let withAttribute = Value.dict(Dict([Dict.Entry(.string("a"), .int(1))], attributes: [.init("t", weights)]))
    let places: [(Value, String)] = [
      (dict(("model", weights)), "/"), (dict(), "/"), (weights, "/model"), (adam, "/optimizer"), (.none, "/value"),
      (.sequence(.list, [weights]), "/value"), (withAttribute, "/value"),
    ]
    for (tree, place) in places {
      let file = try surveyed(tree, folder)
      #expect(try file.node("").text("root") == place)
      if place != "/" { #expect(try file.node("").links == [String(place.dropFirst()), "manifest"]) }
      let read = try NativeFormat.read(path)
      #expect(try sameContent(read.root, tree), "\(place)")
      #expect(problems(path) == [])
    }
    try edit(path) { try $0.set("root", .string("/elsewhere")) }
    #expect(refusal(path).contains("/elsewhere"))
    try edit(path) { try $0.set("root", .string("/model")) }
    #expect(refusal(path).contains("there is no such object"))
  }

  /// ROOT-3
  @Test(arguments: Digest.Algorithm.allCases) func theContentDigestIsThere(algorithm: Digest.Algorithm) throws {
    var options = replacing
    options.digest = algorithm
    try NativeFormat.write(try trainingTree(), to: path, options: options)
    let text = try unwrapped(try Survey(path).node("").text("content_digest"))
    #expect(text == (try ContentDigest.compute(try trainingTree(), algorithm).description))
    #expect(text.wholeMatch(of: algorithm == .xxh3 ? /xxh3-128:[0-9a-f]{32}/ : /sha256:[0-9a-f]{64}/) != nil)
    let hex = text.split(separator: ":")[1]
    for other in ["md5:00", "\(algorithm.rawValue):\(hex.uppercased())", "\(text)0"] {
      try edit(path) { try $0.set("content_digest", .string(other)) }
      #expect(problems(path).contains { $0.hasPrefix("/: ") && $0.contains("no digest") }, "\(other)")
    }
    try edit(path) { try $0.removeAttribute("content_digest") }
    #expect(problems(path).contains("/: the attribute content_digest is missing"))
  }

  /// ROOT-4
  @Test func theProducerIsNoContent() throws {
    var options = replacing
    options.producer = "somebody 7"
    let written = try NativeFormat.write(.int(1), to: path, options: options)
    #expect(try Survey(path).node("").text("producer") == "somebody 7")
    let content = try ContentDigest.compute(.int(1))
    #expect(written.contentDigest == content)
    try edit(path) { try $0.removeAttribute("producer") }
    #expect(refusal(path) == "")
  }

  /// ROOT-5
  @Test func anUnknownRequiredFeatureIsNamed() throws {
    try craft(path) { try $0.writeAttribute("required_features", .string("zstd,bits")) }
    #expect(refusal(path).contains("\"zstd\""))
    try craft(path) { try $0.writeAttribute("required_features", .strings(["zstd"])) }
    #expect(refusal(path).contains("required_features"))
  }

  /// ROOT-6, NAME-3: only where the tree is at `/` is the name taken.
  @Test func theManifestsNameBelongsToTheFormat() throws {
    let tree = dict(("manifest", .int(1)), ("inner", dict(("manifest", .int(2)))))
    let file = try surveyed(tree, folder)
    #expect(try file.node("").links == ["%6Danifest", "inner", "manifest"])
    #expect(try file.node("inner").links == ["manifest"])
    #expect(try file.node("manifest").encoding == "manifest")
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
    let model = try surveyed(dict(("manifest", try tensor([1], [1]))), folder)
    #expect(try model.node("model").links == ["manifest"])
  }

  /// VER-1: a later minor version is read, with attributes that are not known; another major one is refused, named.
  @Test func minorVersionsAreReadAndMajorOnesRefused() throws {
    let tree = try trainingTree()
    try NativeFormat.write(tree, to: path)
    try edit(path) { root in
      try root.set("format_version", .string("1.7"))
      try root.set("colour", .string("green"))
      try within(root, "model") { model in
        try model.set("colour", .doubles([1, 2]))
        try model.openDataset("fc.bias").writeAttribute("colour", .empty)
      }
    }
    let read = try NativeFormat.read(path)
    #expect(try sameContent(read.root, tree))
    for (version, words) in [("2.0", "is 2.0"), ("0.9", "is 0.9"), ("10.0", "is 10.0"), ("1", "MAJOR.MINOR")] {
      try edit(path) { try $0.set("format_version", .string(version)) }
      #expect(refusal(path).contains(words))
    }
  }

  /// VER-2: the same for each node, whatever it is; an unknown encoding is refused.
  @Test func theVersionOfAnEncodingCounts() throws {
    let tree = try trainingTree()
    let nodes = [
      "", "model", "step", "scheduler/base_lrs", "optimizer", "optimizer/params", "optimizer/exp_avg",
      "optimizer/param_groups", "optimizer/param_groups/1", "optimizer/param_groups/1/params", "model/fc.bias",
    ]
    for version in ["1.9", "2.0"] {
      for node in nodes {
        try NativeFormat.write(tree, to: path, options: replacing)
        try mark(node, "encoding-version", version)
        #expect(refusal(path).contains("version 2.0") == (version == "2.0"), "\(node) \(version)")
        #expect(refusal(path).isEmpty == (version == "1.9"), "\(node) \(version)")
      }
    }
    try craft(path) { try $0.putGroup("x", "hologram") }
    #expect(refusal(path).contains("\"hologram\" is not known"))
    try craft(path) { try $0.put("x", .uint8, .scalar, [1], ["encoding-type": .string("hologram")]) }
    #expect(refusal(path).contains("\"hologram\" is not known"))
  }

  /// Writes an attribute of the group or dataset at a path.
  private func mark(_ node: String, _ name: String, _ value: String) throws {
    let parts = node.split(separator: "/").map(String.init)
    try edit(path) { root in
      try within(root, parts.dropLast().joined(separator: "/")) { parent in
        guard let last = parts.last else { return try parent.writeAttribute(name, .string(value)) }
        switch try parent.object(last).kind {
        case .group: try parent.openGroup(last).writeAttribute(name, .string(value))
        default: try parent.openDataset(last).writeAttribute(name, .string(value))
        }
      }
    }
  }
}
