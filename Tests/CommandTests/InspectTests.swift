import Checkpoint
import CheckpointFormats
import CommandSupport
import Testing

@testable import ckpt

@Suite struct InspectTests {
  let scratch = Scratch()

  private func json(_ arguments: String...) throws -> JSONTree {
    let result = Binary.run(["inspect", "--json"] + arguments, scratch)
    #expect(result.code == 0, "\(result.error)")
    return try JSONTree(result.output)
  }

  private static let transformer = Binary.fixture("torch/transformer_adamw.pt")

  @Test func schema() throws {
    let report = try json(Self.transformer)
    #expect(
      report.keys == [
        "schema", "path", "bytes", "format", "format_version", "content_digest", "sections", "values", "tensors",
        "warnings",
      ])
    #expect(report["schema"]?.text == "ckpt.inspect/1")
    #expect(report["format"]?.text == "torch-zip")
    #expect(report["content_digest"] == .null)
    let tensor = try #require(report["tensors"]?.items.first)
    #expect(tensor.keys == ["path", "section", "name", "dtype", "shape", "bytes", "digest", "alias_of"])
    #expect(tensor["path"]?.text == "model.transformer.wte.weight")
    #expect(tensor["section"]?.text == "model")
    #expect(tensor["shape"] == .array([.number("48"), .number("20")]))
  }

  @Test func optimizerTensorsAreNamed() throws {
    let report = try json(Self.transformer)
    let moment = try #require(report["tensors"]?.items.first { $0["path"]?.text == "optimizer.state.0.exp_avg" })
    #expect(moment["name"]?.text == "transformer.wte.weight")
    #expect(moment["slot"]?.text == "exp_avg")
    #expect(moment["section"]?.text == "optimizer")
    let optimizer = try #require(report["sections"]?.items.last)
    #expect(optimizer["algorithm"]?.text == "AdamW")
    #expect(optimizer["step"] == .number("50"))
    #expect(optimizer["slots"] == .array([.string("step"), .string("exp_avg"), .string("exp_avg_sq")]))
    #expect(optimizer["groups"]?.items.count == 2)
    #expect(optimizer["groups"]?.items.first?["params"]?.items.first == .string("transformer.wte.weight"))
  }

  @Test func bothContainersListTheSame() throws {
    let h5 = scratch.path("a.h5")
    #expect(Binary.run(["convert", Self.transformer, h5], scratch).code == 0)
    let (a, b) = (try json(Self.transformer), try json(h5))
    #expect(a["values"] == b["values"])
    #expect(a["tensors"]?.items.map { $0["path"] } == b["tensors"]?.items.map { $0["path"] })
    #expect(a["sections"] == b["sections"])
    #expect(b["format"]?.text == "ckpt-h5")
    #expect(b["tensors"]?.items.first?["digest"]?.text?.hasPrefix("xxh3-128:") == true)
  }

  @Test func overviewIsAsItWas() {
    let result = Binary.run(["inspect", Binary.fixture("torch/cnn_adam_amsgrad.pt")], scratch)
    let expected = """
      Training
        arch 'cnn'   epoch 5

      Optimizer  Adam, step 5  at optimizer
        9 parameters (880 elements) in 1 group; exp_avg, exp_avg_sq, max_exp_avg_sq: 10.6 kB
        parameter names: those of 'state_dict' (same shapes, same order)
        lr 0.001   betas (0.9, 0.999)   eps 1e-08   weight_decay 0.0001   amsgrad True   initial_lr 0.002

      Model  880 parameters, 3.68 kB  at state_dict
        name                     dtype    shape             size
        conv1.weight             float32  [6, 1, 3, 3]     216 B
        bn1.weight               float32  [6]               24 B
        bn1.bias                 float32  [6]               24 B
        bn1.running_mean         float32  [6]               24 B  buffer
        bn1.running_var          float32  [6]               24 B  buffer
        bn1.num_batches_tracked  int64    []                 8 B  buffer
      """
    #expect(result.output.contains(expected), "\(result.output)")
    #expect(!result.output.contains("\u{1B}"))
  }

  @Test func groupsShowWhatDiffers() {
    let result = Binary.run(["inspect", Self.transformer], scratch)
    let expected = """
        lr 0.00155   betas (0.9, 0.95)   eps 1e-08   amsgrad False   initial_lr 0.003
        group  weight_decay  parameters  elements
            0           0.1          14    15,600
            1             0          26       820
      """
    #expect(result.output.contains(expected), "\(result.output)")
  }

  @Test func bareStateDictIsShownOnce() {
    let text = Binary.run(["inspect", Binary.fixture("torch/state_dict.pt")], scratch).output
    #expect(text.split(separator: "\n").count { $0.contains("conv1.weight") } == 1, "\(text)")
    #expect(!text.contains("Also in the file") && !text.contains("Training"))
  }

  @Test func unknownClassesAreOneWarning() throws {
    let warnings = try json(Binary.fixture("torch/objects.pt"))["warnings"]?.items ?? []
    let classes = warnings.compactMap(\.text).filter { $0.contains("fixture_objects.Settings") }
    #expect(classes.count == 1 && classes.first?.contains("argparse.Namespace") == true, "\(warnings)")
  }

  @Test(arguments: [Value.int(7), .dict(Dict([])), .sequence(.list, [])])
  func rootsWithoutSectionsAreShown(root: Value) throws {
    let facts = FileFacts(path: "a.pt", bytes: 1, id: "pt", name: "test", warnings: [])
    var view = InspectView(facts, root, try Listing(root), .plain)
    #expect(String(decoding: view.overview(), as: UTF8.self) == "a.pt  test, 1 B\n  \(root.text())\n")
  }

  @Test func narrowTerminalsLoseNoLine() throws {
    let opened = try Format.input(Self.transformer).read(Self.transformer, Format.ReadOptions())
    let facts = FileFacts(path: "a.pt", bytes: 1, id: "pt", name: "test", warnings: [])
    let root = opened.checkpoint.root
    for width in [60, 80, 100] {
      var view = InspectView(facts, root, try Listing(root), Terminal(width: width, hasColour: false))
      let lines = String(decoding: view.overview(), as: UTF8.self).split(separator: "\n")
      #expect(lines.allSatisfy { columns(String($0)) <= width }, "\(lines.joined(separator: "\n"))")
    }
  }

  @Test func sortAndFilter() throws {
    let rows = try json(Self.transformer, "--filter", "*.mlp.*weight", "--sort", "size")["tensors"]?.items ?? []
    #expect(rows.count == 24)
    #expect(rows.allSatisfy { $0["name"]?.text?.contains(".mlp.") ?? false })
    let names = try json(Self.transformer, "--sort", "name")["tensors"]?.items.compactMap { $0["path"]?.text } ?? []
    #expect(names == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
  }

  @Test func statistics() throws {
    let report = try json(Binary.fixture("torch/cnn_adam_amsgrad.pt"), "--stats", "--filter", "bn1.running_var")
    let row = try #require(report["tensors"]?.items.first)
    #expect(row.keys.suffix(7) == ["min", "max", "mean", "std", "nan", "inf", "zeros"])
    #expect(row["nan"] == .number("0"))
  }

  @Test func valuesAtAPath() {
    let groups = Binary.run(["inspect", Self.transformer, "--values", "optimizer.param_groups.0.lr"], scratch)
    #expect(groups.output == "0.0015499999999999997\n")
    let bias = Binary.run(
      ["inspect", Binary.fixture("torch/cnn_adam_amsgrad.pt"), "--values", "state_dict.bn1.num_batches_tracked"],
      scratch)
    #expect(bias.output == "int64 []\n5\n")
    let none = Binary.run(["inspect", Self.transformer, "--values", "modell"], scratch)
    #expect(none.code == 64)
    #expect(none.error.contains("'model'"))
  }

  @Test func largeTensorsAreShownByTheirCorners() throws {
    let numbers = (0..<4096).map { Int32($0) }
    let tensor = try Tensor(dtype: .int32, shape: [64, 64], source: BufferSource(elements: numbers))
    let root = Value.dict(Dict([Dict.Entry(.string("a"), .tensor(tensor))]))
    var view = ValuesView(.plain)
    let text = String(decoding: try view.text(of: "a", in: root), as: UTF8.self)
    #expect(
      text == """
        int32 [64, 64]
        [0] 0 1 2 … 61 62 63
        [1] 64 65 66 … 125 126 127
        [2] 128 129 130 … 189 190 191
        …
        [61] 3904 3905 3906 … 3965 3966 3967
        [62] 3968 3969 3970 … 4029 4030 4031
        [63] 4032 4033 4034 … 4093 4094 4095

        """)
  }

  @Test func whatJSONCannotHoldIsAString() throws {
    var json = JSONWriter()
    json.beginArray()
    let big = try #require(BigInt(decimal: "123456789012345678901234567890"))
    let values: [Value] = [
      .double(.nan), .double(-.infinity), .double(1), .int(1 << 53), .int(1 << 53 + 1), .bigInt(big), .none,
      .bytes([0, 255]), .complex(1, -2), .sequence(.tuple, [.bool(true)]),
      .dict(Dict([Dict.Entry(.int(1), .string("a"))])),
    ]
    for value in values { json.value(value) }
    json.endArray()
    #expect(
      String(decoding: json.bytes, as: UTF8.self)
        == #"["nan","-inf",1.0,9007199254740992,"9007199254740993","123456789012345678901234567890",null,"00ff","#
        + #""(1.0-2.0j)",[true],{"1":"a"}]"#)
  }

  @Test func hostileNamesDoNotReachTheTerminal() throws {
    let tensor = try Tensor(dtype: .uint8, shape: [1], source: BufferSource([1]))
    let root = Value.dict(
      Dict([Dict.Entry(.string("\u{1B}]0;evil\u{07}"), .tensor(tensor)), Dict.Entry(.string("b"), .tensor(tensor))]))
    let facts = FileFacts(path: "\u{1B}x", bytes: 1, id: "pt", name: "test", warnings: ["\u{1B}w"])
    let listing = try Listing(root)
    var overview = InspectView(facts, root, listing, .plain)
    var table = InspectView(facts, root, listing, .plain)
    let text = overview.overview() + table.table([0, 1], statistics: nil)
    #expect(!text.contains(0x1B) && !text.contains(0x07))
  }

  @Test func hostileHDF5IsRefusedWithItsPlace() {
    let result = Binary.run(["inspect", Binary.fixture("hostile/hdf5_external_link.h5")], scratch)
    #expect(result.code == 65)
    #expect(result.error.contains("/model/evil: the link is an external link"), "\(result.error)")
  }

  @Test func everyTensorInItsRow() {
    let lines = Binary.run(["inspect", Self.transformer, "--tensors", "--sort", "size"], scratch).output
      .split(separator: "\n")
    #expect(lines.count == 165)
    #expect(lines[2].contains("[80, 20]"), "\(lines[2])")
    #expect(lines.count { $0.contains(" transformer.wpe.weight") } == 3)
  }
}

@Suite struct NestedModelTests {
  @Test func theLayersOfAKerasFileAreOneModel() {
    let run = Binary.run(["inspect", Binary.fixture("keras/small.keras")], Scratch())
    #expect(run.code == 0)
    #expect(run.output.split(separator: "\n").count { $0.hasPrefix("Model ") } == 1, "\(run.output)")
    #expect(run.output.contains("layers.dense_1.vars.0"))
    #expect(run.output.contains("parameters, "))
  }
}
