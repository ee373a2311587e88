import Checkpoint
import Testing

@testable import CheckpointFormats

/// Whole modules, pickled by real torch of all ages: their state dict is what torch's own `state_dict()` says.
@Suite struct ModuleReadTests {
  static let files =
    namesIn("\(fixtureFolder)/modules").filter { $0.hasSuffix(".pt") || $0.hasSuffix(".pkl") }.map {
      OldFile(folder: "modules", name: $0)
    } + [
      OldFile(folder: "legacy", name: "module.pt"), OldFile(folder: "torch-1.0", name: "module_legacy.pt"),
      OldFile(folder: "torch-1.0-python2", name: "module_legacy.pt"), OldFile(folder: "torch-1.13", name: "module.pt"),
      OldFile(folder: "torch-2.0", name: "module.pt"),
    ]

  private func expectation(_ file: OldFile) throws -> [String] {
    let name = file.folder == "modules" ? file.name : "\(file.folder)-\(file.name)"
    return try String(decoding: fileBytes("\(fixtureFolder)/modules/expected/\(name).txt"), as: UTF8.self)
      .split(separator: "\n").map(String.init)
  }

  /// Names, order, kinds, dtypes, shapes, bytes and ties.
  @Test(arguments: files) func givesTheStateDictThatTorchGives(_ file: OldFile) throws {
    let root = try file.read().root
    #expect(try TorchDump.lines(root.withoutModules) == expectation(file))
  }

  /// A `.pt` is written without what no state dict has; an `.h5` keeps it.
  @Test(arguments: files) func bothFormatsTakeIt(_ file: OldFile) throws {
    let folder = TemporaryFolder()
    let root = try file.read().root
    try NativeFormat.write(root, to: folder.file("a.h5"))
    let native = try NativeFormat.read(folder.file("a.h5")).root
    #expect(try ContentDigest.compute(native) == ContentDigest.compute(root))
    #expect(try NativeFormat.verify(folder.file("a.h5")).problems.isEmpty)
    let warnings = try TorchZip.write(native, to: folder.file("b.pt"))
    let plain = try TorchZip.read(folder.file("b.pt"))
    #expect(plain.warnings == [])
    #expect(try TorchDump.lines(plain.root) == expectation(file))
    #expect(warnings.contains { $0.contains("was written as its state dict") })
  }

  @Test func keepsTheRestBesideTheStateDict() throws {
    let checkpoint = try OldFile(folder: "modules", name: "mixed.pt").read()
    let state = try #require(StateDict(checkpoint.root))
    #expect(PickledModule(checkpoint.root)?.className == "fixture_modules.Mixed")
    #expect(
      state.ties == [
        ["first.scale", "second.scale"], ["first.norm.weight", "second.norm.weight"],
        ["first.norm.bias", "second.norm.bias"], ["embed.weight", "head.weight"],
      ])
    guard case .record(let module)? = state.dict.attributes.first?.value, let own = module["state"].dict,
      let below = module["modules"].dict
    else { return #expect(Bool(false)) }
    #expect(own["config"].dict?["name"].text == "mixed")
    #expect(own["training"] != nil)
    guard case .dict(let unset)? = own["_parameters"], case .none? = unset["bias"] else { return #expect(Bool(false)) }
    guard case .record(let conv)? = below["conv.0"] else { return #expect(Bool(false)) }
    #expect(conv["class"].text == "torch.nn.modules.conv.Conv1d")
    // Tensors that are attributes are entries of their own, as nothing else would show them.
    guard case .tensor(let steps)? = state.dict["steps"], case .tensor? = state.dict["history.losses.1"] else {
      return #expect(Bool(false))
    }
    #expect(steps.kind == .buffer(persistent: false))
    // Those of a module that is an attribute are the module's own, told by reference.
    #expect(state["beside.0.0.weight"] == nil)
    #expect(checkpoint.warnings.contains { $0.hasSuffix("leaves them out: cache, dropped") })
    #expect(checkpoint.warnings.filter { $0.hasPrefix("a module of class") }.count == 1)
  }

  @Test func warnsOfWhatAStateDictFileLeavesOut() throws {
    let scratch = try ScratchFile()
    let warnings = try TorchZip.write(try OldFile(folder: "modules", name: "mixed.pt").read().root, to: scratch.path)
    #expect(
      warnings == [
        "a module of class fixture_modules.Mixed was written as its state dict; its other attributes were left out, "
          + "tensors among them: steps, history.losses.1"
      ])
  }

  private func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }

  /// A module by hand, of protocol 2: NEWOBJ and a BUILD of its attributes, after the three that make it a module.
  private func archive(modules: String = "}", _ attributes: String) -> [UInt8] {
    let state = "}(S'_parameters'\n}S'_buffers'\n}S'_modules'\n\(modules)\(attributes)ub"
    return TorchArchiveBuilder.archive(pickle: bytes("\u{80}\u{2}cmine\nNet\n)\u{81}q\0\(state)."))
  }

  /// A parent that a child knows, a list that holds itself: the attribute is left out and named, the module is read.
  @Test func attributesThatHoldThemselvesAreLeftOut() throws {
    let file = try ScratchFile("self.pt", archive("S'parent'\nh\0S'list'\n]q\u{1}h\u{1}aS'label'\nS'kept'\n"))
    let checkpoint = try TorchZip.read(file.path)
    guard case .dict(let dict) = checkpoint.root, case .record(let module)? = dict.attributes.first?.value else {
      return #expect(Bool(false))
    }
    #expect(module["state"].dict?.entries.map(\.key) == [.string("label")])
    for name in ["parent", "list"] {
      #expect(checkpoint.warnings.contains { $0.hasPrefix("\(name): ") && $0.hasSuffix("the attribute was left out") })
    }
  }

  /// As in Python the last of a name wins, so that no dictionary of the tree has a name twice.
  @Test func namesThatComeTwiceAreOne() throws {
    let child = "cmine\nChild\n)\u{81}}(S'_parameters'\n}S'_buffers'\n}S'_modules'\n}S'n'\nI1\nub"
    let modules = "}(S'a'\n\(child)S'a'\n\(child)u"
    let file = try ScratchFile("twice.pt", archive(modules: modules, "S'x'\nI1\nS'x'\nI2\n"))
    let root = try TorchZip.read(file.path).root
    guard case .dict(let dict) = root, case .record(let module)? = dict.attributes.first?.value else {
      return #expect(Bool(false))
    }
    #expect(module["modules"].dict?.count == 1)
    guard case .int(2)? = module["state"].dict?["x"], module["state"].dict?.count == 1 else {
      return #expect(Bool(false))
    }
    let folder = TemporaryFolder()
    try NativeFormat.write(root, to: folder.file("a.h5"))
    #expect(try ContentDigest.compute(NativeFormat.read(folder.file("a.h5")).root) == ContentDigest.compute(root))
  }

  /// A buffer that no name tells from a parameter is none in a module that was pickled.
  @Test func buffersAreKnownForWhatTheyAre() throws {
    let state = try #require(StateDict(OldFile(folder: "modules", name: "graph.pt").read().root))
    #expect(state["shift"]?.role == .buffer)
    #expect(state.trainable.map(\.name) == ["layer.weight", "layer.bias", "norm.weight", "norm.bias"])
  }

  /// Attributes beyond what an attribute of HDF5 holds are fields of a record (VAL-10).
  @Test func attributesOfAnySizeFitANativeFile() throws {
    let folder = TemporaryFolder()
    guard case .dict(var dict) = try OldFile(folder: "modules", name: "graph.pt").read().root else {
      return #expect(Bool(false))
    }
    let text = Value.string(String(repeating: "x", count: Vocabulary.maximumAttributeBytes))
    dict.attributes.append(Record.Field("notes", text))
    try NativeFormat.write(.dict(dict), to: folder.file("a.h5"))
    let back = try NativeFormat.read(folder.file("a.h5")).root
    #expect(try ContentDigest.compute(back) == ContentDigest.compute(.dict(dict)))
  }
}

extension Value {
  /// Without what a module had beside its state dict.
  fileprivate var withoutModules: Value {
    switch self {
    case .dict(var dict):
      guard let place = dict.attributes.firstIndex(where: { $0.name == "module" }) else {
        for index in dict.entries.indices { dict.entries[index].value = dict.entries[index].value.withoutModules }
        return .dict(dict)
      }
      dict.attributes.remove(at: place)
      dict.entries.removeAll { entry in
        if case .tensor(let tensor) = entry.value { tensor.kind == .buffer(persistent: false) } else { false }
      }
      return .dict(dict)
    case .sequence(let kind, let items): return .sequence(kind, items.map(\.withoutModules))
    default: return self
    }
  }
}
