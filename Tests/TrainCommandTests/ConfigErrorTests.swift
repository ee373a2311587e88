import Testing

@testable import ckpt_train

/// One mistake each, and the exact words that it is told in.
@Suite struct ConfigErrorTests {
  static let mistakes: [(old: String, new: String, message: String)] = [
    ("seed: 7", "seed: x", "run.yaml:1:7: seed: expected a whole number of 0 or more, found 'x'"),
    ("seed: 7", "sed: 7", "run.yaml:1:1: there is no key 'sed' here; did you mean 'seed'?"),
    ("seed: 7", "seed: -1", "run.yaml:1:7: seed: expected a whole number of 0 or more, found -1"),
    ("seed: 7", "threads: 0", "run.yaml:1:10: threads: expected a whole number of 1 or more, found 0"),
    ("seed: 7", "threads: 5000", "run.yaml:1:10: threads: expected a whole number from 1 to 1024, found 5000"),
    ("seed: 7", "log_every: 0.5", "run.yaml:1:12: log_every: expected a whole number of 1 or more, found 0.5"),
    ("seed: 7", "ema: 1", "run.yaml:1:6: ema: expected a number from 0 to below 1, found 1"),
    ("seed: 7", "clip_grad_norm: -1", "run.yaml:1:17: clip_grad_norm: expected a number greater than 0, found -1"),
    ("seed: 7", "clip_grad_norm: .inf", "run.yaml:1:17: clip_grad_norm: expected a number greater than 0, found inf"),
    ("seed: 7", "epochs: 3", "run.yaml:1:9: epochs: expected steps or epochs, found both"),
    (
      "seed: 7", "evaluate: {}",
      "run.yaml:1:11: evaluate: expected the key 'every', after how many steps; found nothing"
    ),
    (
      "seed: 7", "checkpoint: {keep_best: loss}",
      "run.yaml:1:25: checkpoint.keep_best: expected val_loss, found 'loss'"
    ),
    ("seed: 7", "checkpoint: yes", "run.yaml:1:13: checkpoint: expected a map, found 'yes'"),
    ("seed: 7", "freeze: {a: 1}", "run.yaml:1:9: freeze: expected a list of patterns, as ['0.*'], found a map"),
    (
      "in: 512", "in: 500",
      "run.yaml:7:7: model.sequential.3.linear: expected [N, …, 500], found [N, …, 512] from model.sequential.0.linear"
    ),
    (
      "in: 512, out: 10", "in: 512",
      "run.yaml:7:15: model.sequential.3.linear: expected the key 'out', the output's size; found 'in'"
    ),
    (
      "- relu: {}", "- rellu: {}", "run.yaml:5:7: model.sequential.1: there is no layer 'rellu'; did you mean 'relu'?"
    ),
    (
      "- relu: {}", "- relu: {inplace: true}", "run.yaml:5:14: model.sequential.1.relu: there is no key 'inplace' here"
    ),
    (
      "- relu: {}", "- 3",
      "run.yaml:5:7: model.sequential.1: expected a layer, as 'linear: {in: 784, out: 10}', found 3"
    ),
    (
      "- relu: {}", "- {relu: {}, tanh: {}}",
      "run.yaml:5:7: model.sequential.1: expected one layer, found the keys 'relu', 'tanh'; its fields go in {…}"
    ),
    ("p: 0.1", "p: 1.5", "run.yaml:6:20: model.sequential.2.dropout.p: expected a number from 0 to 1, found 1.5"),
    ("p: 0.1", "p: '0.1'", "run.yaml:6:20: model.sequential.2.dropout.p: expected a number from 0 to 1, found '0.1'"),
    (
      "file: train.npz", "file: train.txt",
      "run.yaml:9:17: data.train.file: expected a name that ends in .npz, .h5, .safetensors or .csv, found 'train.txt'"
    ),
    (
      "{file: train.npz, inputs: x, targets: y}", "{file: train.npz, input: x, targets: y}",
      "run.yaml:9:10: data.train: expected the key 'inputs', the name of an array; found 'file', 'input', 'targets'"
    ),
    (
      "{file: train.npz, inputs: x, targets: y}", "{}",
      "run.yaml:9:10: data.train: expected {file, inputs, targets}, {text, tokens} or {tokens: {bin}}, found nothing"
    ),
    (
      "{file: val.npz, inputs: x, targets: y}", "{text: a.txt}",
      "run.yaml:10:15: data.validation: expected the kind of data that 'train' has: inputs and targets"
    ),
    ("batch: 64", "batch: 0", "run.yaml:11:10: data.batch: expected a whole number of 1 or more, found 0"),
    ("shuffle: true", "shuffle: yes", "run.yaml:12:12: data.shuffle: expected true or false, found 'yes'"),
    (
      "loss: cross_entropy", "loss: crossentropy",
      "run.yaml:13:7: loss: there is no loss 'crossentropy'; did you mean 'cross_entropy'?"
    ),
    (
      "loss: cross_entropy", "loss: hinge",
      "run.yaml:13:7: loss: there is no loss 'hinge'; possible are mse, l1, huber, cross_entropy, bce_with_logits"
    ),
    ("lr: 0.001", "lr: fast", "run.yaml:15:15: optimizer.adamw.lr: expected a number greater than 0, found 'fast'"),
    ("lr: 0.001", "lr: 0", "run.yaml:15:15: optimizer.adamw.lr: expected a number greater than 0, found 0"),
    (
      "lr: 0.001", "betas: [0.9, 1.0]",
      "run.yaml:15:24: optimizer.adamw.betas.1: expected a number from 0 to below 1, found 1.0"
    ),
    (
      "lr: 0.001", "betas: 0.9",
      "run.yaml:15:18: optimizer.adamw.betas: expected two numbers, as [0.9, 0.999], found 0.9"
    ),
    (
      "lr: 0.001", "weight_decy: 0.1",
      "run.yaml:15:11: optimizer.adamw: there is no key 'weight_decy' here; did you mean 'weight_decay'?"
    ),
    (
      "adamw: {lr: 0.001}", "adamax: {}",
      "run.yaml:15:3: optimizer: there is no optimizer 'adamax'; did you mean 'adam'?"
    ),
    (
      "adamw: {lr: 0.001}", "sgd: {nesterov: true}",
      "run.yaml:15:8: optimizer.sgd: expected a momentum above 0 and no dampening, as nesterov needs them"
    ),
    (
      "adamw: {lr: 0.001}", "adamw: {no_decay: [*.bias]}",
      "run.yaml:15:22: '*.bias' is an alias of YAML, which configs do not use; "
        + "write '*.bias' in quotes if it is a pattern or a text"
    ),
    ("steps: 500", "stepps: 500", "run.yaml:16:1: there is no key 'stepps' here; did you mean 'steps'?"),
    ("steps: 500", "steps: 0", "run.yaml:16:8: steps: expected a whole number of 1 or more, found 0"),
    ("out: runs/a", "out: []", "run.yaml:17:6: out: expected a text, found a list"),
    ("out: runs/a", "out: runs/a\nout: b", "run.yaml:17:1: expected each key once, found 'out' twice"),
    (
      "out: runs/a", "schedule: {cosine: {warmup: 500}}",
      "run.yaml:17:12: schedule.cosine: expected a warmup below the total, 500, found 500"
    ),
    (
      "out: runs/a", "schedule: {cosine: {min_lr: 0.1}}",
      "run.yaml:17:29: schedule.cosine.min_lr: expected at most the optimizer's lr, 0.001, found 0.1"
    ),
    (
      "out: runs/a", "schedule: {step: {}}",
      "run.yaml:17:18: schedule.step: expected the key 'step_size', after how many steps the rate falls; found nothing"
    ),
    (
      "out: runs/a", "schedule: {multistep: {milestones: [30, 10]}}",
      "run.yaml:17:36: schedule.multistep.milestones: expected rising numbers, found [30, 10]"
    ),
    (
      "out: runs/a", "out: [runs",
      "run.yaml:18:1: is no YAML: while parsing a flow sequence, did not find expected ',' or ']'"
    ),
    (
      "out: runs/a", "out: &a runs",
      "run.yaml:17:6: '&a' is an anchor of YAML, which configs do not use; "
        + "write '&a' in quotes if it is a pattern or a text"
    ),
    ("out: runs/a", "out: !path runs", "run.yaml:17:6: out: expected a plain value, found the tag !path"),
  ]

  @Test(arguments: mistakes.indices) func isTold(_ index: Int) {
    let (old, new, message) = Self.mistakes[index]
    let problems = Configs.problems(Configs.mlp(old, new))
    #expect(problems.contains { $0.hasPrefix(message) }, "\(new): \(problems)")
  }

  @Test func allAreToldAtOnceInTheFilesOrder() {
    let text = Configs.mlp("seed: 7", "sed: 7").replacing("in: 512", with: "in: 500")
      .replacing("lr: 0.001", with: "lr: -1").replacing("batch: 64", with: "batch: x")
    let lines = Configs.problems(text).map { $0.split(separator: ":")[1] }
    #expect(lines == ["1", "7", "11", "15"])
  }

  @Test func missingPartsAreNamed() {
    let problems = Configs.problems("seed: 1")
    #expect(problems.count == 5)
    for (problem, word) in zip(problems, ["'model'", "'data'", "'loss'", "'optimizer'", "'steps' or 'epochs'"]) {
      #expect(problem.contains(word))
    }
  }

  @Test func reportIsForPeopleAndEditors() throws {
    do {
      _ = try Configs.read(Configs.mlp("seed: 7", "sed: 7"))
      Issue.record("no error")
    } catch {
      #expect(
        error.report == """
          ckpt: error: run.yaml:1:1: there is no key 'sed' here; did you mean 'seed'?
            1 problem; nothing was run. README.md, 'A run's config', has all keys and their defaults.

          """)
      #expect(error.exitCode == 65)
    }
  }

  @Test(arguments: [
    "", "#", "[", "- a", "3", "a", "{{{{", "\u{0}", "a: b: c", "---\na: 1\n---\nb: 2", "? [a]\n: b", "\t",
  ])
  func whatIsNoConfigIsRefused(text: String) {
    #expect(!Configs.problems(text).isEmpty)
  }

  @Test(arguments: ["[", "{a: ", "- "]) func depthIsBounded(opening: String) {
    #expect(!Configs.problems(String(repeating: opening, count: 100_000)).isEmpty)
  }

  @Test func sizeIsBounded() {
    let problems = Configs.problems("a: " + String(repeating: "x", count: 1 << 20))
    #expect(problems == ["run.yaml:1:1: expected a config of at most 1048576 bytes, found 1048579"])
  }

  @Test func aliasesAreFoundOutsideQuotesAndComments() {
    for text in [
      "a: &x 1", "a: *x", "[*x]", "{a: *x}", "- *x", "? *x : 1", "a: [1, *x]", "a: [1,*x]", "{a: b#c, d: *x}",
      "\"q\": *x",
    ] {
      #expect(YAMLMarks.firstReference(in: text) != nil, "\(text)")
    }
    for text in ["a: 'x *y'", "a: \"\\\" *x\"", "a: 3 # *x", "a: b&c", "a: b*c", "# &x\na: 1", "a: it's&"] {
      #expect(YAMLMarks.firstReference(in: text) == nil, "\(text)")
    }
  }
}
