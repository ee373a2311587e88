import Checkpoint
import Testing

@testable import ckpt_train

@Suite struct ConfigReadTests {
  @Test func defaultsArePyTorchs() throws {
    let config = try Configs.read(
      """
      model: {sequential: [linear: {in: 10, out: 1}]}
      data: {train: {file: a.csv, inputs: [x0, x1], targets: y}}
      loss: mse
      optimizer: adamw
      epochs: 2.5
      """)
    #expect(config.optimizer.lr == 1e-3)
    #expect(config.optimizer.weightDecay == 1e-2)
    #expect(config.optimizer.kind == .adamw(betas: .init(first: 0.9, second: 0.999), eps: 1e-8, amsgrad: false))
    #expect(config.length == .epochs(2.5))
    #expect(config.data.batch == 1)
    #expect(!config.data.shuffle)
    #expect(config.schedule.name == "constant")
    #expect(config.logEvery == 10)
    #expect(config.accumulate == 1)
    #expect(config.checkpoint == CheckpointConfig(minutes: 10))
    guard case .table(_, let inputs, let targets) = config.data.train.kind else {
      Issue.record("no table")
      return
    }
    #expect(inputs.map(\.value) == ["x0", "x1"])
    #expect(targets.map(\.value) == ["y"])
  }

  @Test(arguments: [
    ("adam", 1e-3, 0.0), ("adamw", 1e-3, 1e-2), ("sgd", 1e-3, 0), ("rmsprop", 1e-2, 0), ("adagrad", 1e-2, 0),
  ])
  func optimizersHaveTheirOwn(name: String, lr: Double, weightDecay: Double) throws {
    let config = try Configs.read(Configs.mlp("adamw: {lr: 0.001}", "\(name): {}"))
    #expect(config.optimizer.lr == lr)
    #expect(config.optimizer.weightDecay == weightDecay)
  }

  @Test func theContractsConfigIsRead() throws {
    let config = try Configs.read(
      """
      seed: 1337
      threads: 2
      model:
        gpt: {layers: 6, heads: 6, width: 384, context: 256, vocab: 65, bias: true, dropout: 0.0, gelu: erf, tie_embeddings: true}
      init: start.pt
      data:
        train: {text: input.txt, tokens: characters}
        validation: {tokens: {bin: val.bin}}
        batch: 64
        shuffle: true
      loss: cross_entropy
      optimizer:
        adamw: {lr: 0.001, betas: [0.9, 0.999], eps: 1.0e-8, weight_decay: 0.01, amsgrad: false, no_decay: ["*.bias"]}
      schedule: {cosine: {warmup: 100, total: 5000, min_lr: 1.0e-5}}
      steps: 5000
      clip_grad_norm: 1.0
      accumulate: 1
      ema: 0.999
      evaluate: {every: 500}
      log_every: 10
      out: runs/a
      checkpoint: {every: 500, minutes: 10, keep: 3, keep_every: 5000, keep_best: val_loss, async: true}
      """)
    #expect(config.seed == 1337)
    #expect(config.optimizer.noDecay.map(\.value) == ["*.bias"])
    #expect(config.schedule.arguments.map(\.key) == ["warmup", "total", "min_lr"])
    #expect(
      config.checkpoint
        == CheckpointConfig(every: 500, minutes: 10, keep: 3, keepEvery: 5000, keepsBest: true, isAsync: true))
    guard case .gpt(let gpt) = config.model else {
      Issue.record("no gpt")
      return
    }
    #expect(gpt.width == 384)
    #expect(gpt.tiesEmbeddings)
  }

  @Test(arguments: [
    ("1e-3", Value.double(1e-3)), ("3e-4", .double(3e-4)), (".5", .double(0.5)), ("5.", .double(5)),
    ("1.0", .double(1)),
    ("-2", .int(-2)), ("+2", .int(2)), ("1_000", .int(1000)), ("0x10", .int(16)), ("-0x10", .int(-16)),
    ("010", .int(10)),
    ("1E6", .double(1e6)), ("9223372036854775808", .double(9223372036854775808)), (".inf", .double(.infinity)),
    ("true", .bool(true)), ("yes", .string("yes")), ("on", .string("on")), ("1:30", .string("1:30")), ("~", .none),
    ("", .none), ("null", .none), ("1e", .string("1e")), (".", .string(".")), ("_1", .string("_1")),
    ("1.2.3", .string("1.2.3")),
    ("0x", .string("0x")), ("e5", .string("e5")), ("-", .string("-")), ("1 000", .string("1 000")),
  ])
  func plainScalars(text: String, value: Value) {
    #expect(same(Value(plainScalar: text), value), "\(text)")
  }

  @Test func quotedScalarsAreTexts() throws {
    let node = try ConfigText.parse("['1', \"true\", !!str 3, '']", file: "c.yaml")
    #expect(same(node.value, .sequence(.list, ["1", "true", "3", ""].map { .string($0) })))
  }

  /// YAML -> tree of a checkpoint -> config, and -> YAML -> config.
  @Test func nothingIsLostOnTheWay() throws {
    let text = """
      a: [1, 2.0, 1e-3, true, null, "yes", '1', 1_000]
      b: {c: {d: [], e: {}}, "odd key: #": "a\\tb\\"c\\\\ é \\u2028"}
      c: [[1], {x: 2, y: [3, {z: 4}]}, text]
      d: -1.5e+300
      e: "*.bias"
      f: ""
      """
    let node = try ConfigText.parse(text, file: "c.yaml")
    let back = try ConfigNode(node.value)
    #expect(same(back.value, node.value))
    let written = ConfigWriter.text(back)
    #expect(same(try ConfigText.parse(written, file: "w.yaml").value, node.value), "\(written)")
    #expect(
      written.hasPrefix("a: [1, 2.0, 0.001, true, null, \"yes\", \"1\", 1000]\n")
        || written.hasPrefix("a: [1, 2.0, 0.001, true, null, yes"))
  }

  @Test func storedConfigIsReadLikeAFile() throws {
    let node = try ConfigText.parse(Configs.mlp, file: "run.yaml")
    let config = try RunConfig(try ConfigNode(node.value), file: "a.h5")
    #expect(config.seed == 7)
    let broken = try ConfigNode(try ConfigText.parse(Configs.mlp("seed: 7", "sed: 7"), file: "").value)
    #expect {
      try RunConfig(broken, file: "a.h5")
    } throws: {
      ($0 as? ConfigErrors)?.report.hasPrefix("ckpt: error: the config in a.h5: there is no key 'sed' here") ?? false
    }
  }

  @Test func foreignTreesAreRefused() {
    #expect(throws: CheckpointError.self) { try ConfigNode(.dict(Dict([Dict.Entry(.int(1), .none)]))) }
    #expect(throws: CheckpointError.self) { try ConfigNode(.bytes([1])) }
    var deep = Value.none
    for _ in 0..<100 { deep = .sequence(.list, [deep]) }
    #expect(throws: CheckpointError.self) { try ConfigNode(deep) }
  }
}

/// Equality of plain trees.
func same(_ a: Value, _ b: Value) -> Bool {
  switch (a, b) {
  case (.none, .none): true
  case (.bool(let x), .bool(let y)): x == y
  case (.int(let x), .int(let y)): x == y
  case (.double(let x), .double(let y)): x.bitPattern == y.bitPattern
  case (.string(let x), .string(let y)): x == y
  case (.sequence(let k, let x), .sequence(let l, let y)): k == l && x.count == y.count && zip(x, y).allSatisfy(same)
  case (.dict(let x), .dict(let y)):
    x.count == y.count && zip(x.entries, y.entries).allSatisfy { $0.key == $1.key && same($0.value, $1.value) }
  default: false
  }
}
