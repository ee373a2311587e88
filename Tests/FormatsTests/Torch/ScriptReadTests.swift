import Checkpoint
import Testing

@testable import CheckpointFormats

/// TorchScript beyond what `ModuleReadTests` compares with torch.
@Suite struct ScriptReadTests {
  private func classes(_ text: String) -> [Key: ScriptCode.ClassFacts]? {
    Array(text.utf8).withUnsafeBytes { ScriptCode.classes(in: $0) }
  }

  @Test func classesAreFoundInTheirText() throws {
    let found = try #require(
      classes(
        """
        class Net(Module):
          __parameters__ = ["weight", "0", "a\\"b", "\\303\\251", ]
          __buffers__ = []
          weight : Tensor
          def forward(self: __torch__.Net,
            x: Tensor) -> Tensor:
            __buffers__ = ["not this"]
            return x
        def helper() -> int:
          __parameters__ = ["nor this"]
        class Pair(NamedTuple):
          x : Tensor
        class Empty(Module):
          pass
        """))
    #expect(found.count == 3)
    let net = try #require(found[.string("Net")])
    #expect(net.isModule)
    #expect(net.parameters == Set(["weight", "0", "a\"b", "é"].map(Key.string)))
    #expect(net.buffers == [])
    #expect(found[.string("Empty")]?.buffers == nil)
    #expect(found[.string("Pair")]?.isModule == false)
    #expect(found[.string("Empty")]?.isModule == true)
  }

  @Test(arguments: [
    "class ", "class (Module):", "class A", "class A(Module):\n  __parameters__ = [\"a", "\n\n  ",
    "class A:\n  __buffers__ = [\"\\",
  ])
  func brokenTextsAreHarmless(_ text: String) { #expect((classes(text)?.count ?? 2) <= 1) }

  @Test func textsWithTooManyNamesAreNotBelieved() {
    let name = "\"a\\000\", "
    let list = (0...ScriptCode.nameLimit).map { "\"\($0)\", " }.joined()
    #expect(classes("class A(Module):\n  __buffers__ = [\(list)]\n") == nil)
    #expect(classes((0...ScriptCode.nameLimit).map { "class A\($0)(Module):\n" }.joined()) == nil)
    // The same name again and again is one.
    let again = String(repeating: name, count: ScriptCode.nameLimit + 1)
    #expect(classes("class A(Module):\n  __buffers__ = [\(again)]\n")?.count == 1)
  }

  @Test func attributesKeepTheirTypesAndValues() throws {
    let root = try OldFile(folder: "modules", name: "script.pt").read().root
    guard case .dict(let dict) = root, case .record(let module)? = dict.attributes.first?.value,
      case .record(let first)? = module["modules"].dict?["first"], let state = first["state"].dict
    else { return #expect(Bool(false)) }
    #expect(first["class"].text == "__torch__.fixture_modules.Scaled")
    guard case .sequence(.list, let sizes)? = state["sizes"], case .int(2)? = sizes.last,
      case .sequence(.list, let rates)? = state["rates"], case .double(0.5)? = rates.last,
      case .sequence(.list, let flags)? = state["flags"], case .bool(true)? = flags.last,
      case .int(1)? = state["names"].dict?["a"], case .bool(true)? = state["training"],
      case .none? = state["_parameters"].dict?["bias"]
    else { return #expect(Bool(false), "\(state)") }
  }

  /// A text that is not there, or too long to be looked at, says of no tensor that it is no weight.
  @Test(arguments: [true, false]) func withoutItsCodeAllTensorsAreWeights(_ isLong: Bool) throws {
    let whole = try fileBytes("\(fixtureFolder)/modules/script.pt")
    let pickle = try record("data.pkl", of: whole)
    let storages = try (0...13).map { try record("data/\($0)", of: whole) }
    var more = [("constants.pkl", Array("\u{80}\u{2}).".unicodeScalars.map { UInt8($0.value) }))]
    if isLong {
      let text = "class Scaled(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
      let filler = [UInt8](repeating: 0x20, count: ScriptCode.textLimit)
      more.append(("code/__torch__/fixture_modules.py", Array(text.utf8) + filler))
    }
    let file = try ScratchFile("code.pt", TorchArchiveBuilder.archive(pickle: pickle, storages: storages, more: more))
    #expect(try Format.input(file.path).id == "torchscript")
    let checkpoint = try TorchZip.read(file.path)
    let state = try #require(StateDict(checkpoint.root))
    #expect(state["first.steps"]?.tensor?.kind == .tensor)
    #expect(state["first.scales.0"]?.tensor?.kind == .buffer(persistent: false))
    #expect(checkpoint.warnings.contains { $0.contains("too long") } == isLong)
  }

  private func record(_ name: String, of archive: [UInt8]) throws -> [UInt8] {
    let file = try ScratchFile("whole.pt", archive)
    let zip = try ZipArchive(MappedFile(file.path))
    var bytes: [UInt8] = []
    try zip.source(#require(zip.entry(name)), verify: true).withBytes { bytes = Array($0) }
    return bytes
  }
}
