import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// `ckpt train`, run as a process: the handover, the exit codes, the run's files.
@Suite struct TrainTests {
  let scratch = Scratch()

  private func run(_ arguments: String...) -> Binary.Result { Binary.run(arguments, scratch) }

  private static let config = """
    seed: 1
    model: {sequential: [linear: {in: 2, out: 1}]}
    data: {train: {file: data.csv, inputs: [a, b], targets: [y]}, batch: 4}
    loss: mse
    optimizer: {adamw: {lr: 0.01}}
    steps: 20
    log_every: 5
    out: run

    """

  private func write(_ config: String = config, _ name: String = "config.yaml") -> String {
    let rows = (0..<10).map { "\($0),\($0 % 3),\(Double($0) * 0.5)\n" }.joined()
    _ = scratch.write("data.csv", Array(("a,b,y\n" + rows).utf8))
    return scratch.write(name, Array(config.utf8))
  }

  @Test(arguments: [
    ["train"], ["train", "a.yaml", "b.yaml"], ["train", "a.yaml", "--steps", "0"], ["train", "a.yaml", "--set", "x"],
    ["train", "a.yaml", "--hyperparameters", "mine"], ["train", "--resume", "a", "--overwrite"],
    ["train", "--nonsense"],
  ])
  func wrongWordsAreUsage(arguments: [String]) {
    let result = Binary.run(arguments, scratch)
    #expect(result.code == 64, "\(result)")
    #expect(result.error.hasPrefix("ckpt: error: "))
  }

  @Test func helpAndCompletionsKnowIt() {
    #expect(run("--help").output.contains("  train "))
    let help = run("train", "--help").output
    #expect(help.contains("--resume <file|dir>"))
    #expect(help.split(separator: "\n").allSatisfy { $0.utf8.count <= 80 }, "\(help)")
    #expect(run("--generate-completion-script", "bash").output.contains("--allow-missing"))
  }

  @Test func missingConfigsAndCheckpointsAre66() {
    for arguments in [
      ["train", "no.yaml"], ["train", "--resume", "no.h5"], ["train", "--resume", scratch.folder],
    ] {
      let result = Binary.run(arguments, scratch)
      #expect(result.code == 66, "\(result)")
    }
  }

  @Test func aBadConfigIs65AndLeavesNothing() {
    let path = write(Self.config.replacing("in: 2", with: "in: 3"), "a config ü.yaml")
    let result = run("train", path)
    #expect(result.code == 65)
    #expect(
      result.error.hasPrefix(
        "ckpt: error: \(path):2:22: model.sequential.0.linear: expected [N, …, 3], found [N, 2] from the data\n"))
    #expect(!scratch.names().contains("run"))
  }

  @Test func aWrongSetIs64() {
    let result = run("train", write(), "--set", "optimizer.adamw.lr=fast")
    #expect(result.code == 64)
    #expect(result.error.hasPrefix("ckpt: error: --set optimizer.adamw.lr=fast: optimizer.adamw.lr: expected"))
  }

  /// The data against the model: each told before the first step, with the place.
  @Test(arguments: [
    ("out: 1", "out: 2", "config.yaml:3:58: data.train.targets.0: expected targets of shape [N, 2]"),
    ("[a, b]", "[a, c]", "data.csv: line 1: there is no column 'c'"),
    ("loss: mse", "loss: cross_entropy", "data.csv: line 3, column 'y'"),
    ("steps: 20", "steps: 20\nfreeze: ['9.*']", "config.yaml:7:10: freeze.0: expected a pattern of parameters"),
    ("steps: 20", "steps: 20\nfreeze: '*'", "config.yaml:7:9: freeze: expected patterns that leave something to train"),
    ("lr: 0.01", "no_decay: ['*.bis']", "config.yaml:5:32: optimizer.adamw.no_decay.0: expected a pattern"),
    ("steps: 20", "steps: 20\ninit: gone.pt", "gone.pt: no such file"),
  ])
  func whatDoesNotFitTheDataIsTold(old: String, new: String, message: String) {
    let result = run("train", write(Self.config.replacing(old, with: new)))
    #expect(result.code >= 64)
    #expect(result.error.contains(message), "\(result)")
    #expect(!scratch.names().contains("run"))
  }

  @Test func labelsAndCharactersHaveToFit() {
    let labels = Self.config.replacing("out: 1", with: "out: 3").replacing("mse", with: "cross_entropy")
      .replacing("[y]", with: "[b]").replacing("[a, b]", with: "[a, y]")
    #expect(run("train", write(labels), "--quiet").code == 0)
    let few = run("train", write(labels.replacing("out: 3", with: "out: 2")), "--overwrite")
    #expect(few.code == 65)
    #expect(few.error.contains("labels must be in 0..<2"), "\(few)")

    _ = scratch.write("text.txt", Array("hello world".utf8))
    let gpt = """
      model: {gpt: {layers: 1, heads: 1, width: 4, context: 4, vocab: 7}}
      data: {train: {text: text.txt}, batch: 2}
      loss: cross_entropy
      optimizer: adamw
      steps: 1
      out: gpt

      """
    let text = run("train", write(gpt))
    #expect(text.code == 65)
    #expect(
      text.error.contains(
        "config.yaml:1:9: model.gpt.vocab: expected at least 8, since the text has so many different characters, found 7"
      ), "\(text)")
    #expect(run("train", write(gpt.replacing("vocab: 7", with: "vocab: 8"))).code == 0)
  }

  @Test func aMissingDataFileSaysHowToNameAnother() {
    let result = run("train", write(Self.config.replacing("data.csv", with: "gone.csv")))
    #expect(result.code == 66)
    #expect(result.error.contains("gone.csv: "))
    #expect(result.error.contains("config.yaml:3:15 names it"))
    #expect(result.error.contains("--set data.train.file=PATH"))
  }

  @Test func aRunLeavesItsFiles() {
    let result = run("train", write())
    #expect(result.code == 0, "\(result)")
    #expect(Scratch.names(in: scratch.path("run")) == ["metrics.csv", "run.yaml", "step-00000020.h5"])
    let rows = scratch.read("run/metrics.csv").split(separator: "\n")
    #expect(rows.map { $0.prefix { $0 != "," } } == ["step", "1", "5", "10", "15", "20"])
    #expect(run("verify", scratch.path("run/step-00000020.h5")).code == 0)
    #expect(scratch.read("run/run.yaml").contains("folder: ..\n".replacing("..", with: "\"..\"")))
  }

  @Test func aRunThatIsThereIsNotTouched() {
    let config = write()
    #expect(run("train", config, "--quiet").code == 0)
    let result = run("train", config, "--quiet")
    #expect(result.code == 73)
    #expect(result.error.contains("--overwrite"))
    #expect(run("train", config, "--quiet", "--overwrite", "--steps", "7").code == 0)
    #expect(Scratch.names(in: scratch.path("run")) == ["metrics.csv", "run.yaml", "step-00000007.h5"])
  }

  @Test func quietSaysNothingAndJSONIsOneObject() throws {
    let config = write()
    let quiet = run("train", config, "--quiet", "--out", scratch.path("a"))
    #expect(quiet.output.isEmpty && quiet.error.isEmpty)
    let json = try JSONTree(run("train", config, "--json", "--out", scratch.path("b"), "--steps", "3").output)
    #expect(json["schema"]?.text == "ckpt.train/1")
    #expect(json["ending"]?.text == "stopped")
    #expect(json["checkpoint"]?.text == scratch.path("b/step-00000003.h5"))
  }

  @Test func aStopSaysHowToGoOn() {
    let result = run("train", write(), "--steps", "3", "--out", scratch.path("my run"))
    #expect(result.code == 0)
    #expect(result.output.contains("  Go on with: ckpt train --resume '\(scratch.path("my run"))'\n"), "\(result)")
  }

  @Test func anUnwritableFolderIs73() {
    #expect(run("train", write(), "--out", "/proc/run").code == 73)
  }

  // MARK: - The handover

  @Test func theTrainerIsFoundThroughALink() {
    let link = scratch.path("ckpt")
    #expect(symlink(Binary.path, link) == 0)
    let result = Binary.run(["train", "no.yaml"], scratch, program: link, environment: ["PATH=/nowhere"])
    #expect(result.code == 66, "\(result)")
  }

  @Test func withoutATrainerTheAdviceIsToInstallIt() {
    let lonely = scratch.path("ckpt")
    #expect(link(Binary.path, lonely) == 0)
    let result = Binary.run(["train", "no.yaml"], scratch, program: lonely, environment: ["PATH=/nowhere"])
    #expect(result.code == 74)
    #expect(
      result.error.hasPrefix(
        "ckpt: error: ckpt-train, the program that trains, is neither beside ckpt in \(scratch.folder) nor on PATH\n"),
      "\(result)")
    #expect(Binary.run(["--help"], scratch, program: lonely).code == 0)
  }

  @Test func theTrainerIsFoundOnPathAndGetsTheWords() {
    let lonely = scratch.path("ckpt")
    #expect(link(Binary.path, lonely) == 0)
    mkdir(scratch.path("bin"), 0o755)
    let script = scratch.write("bin/ckpt-train", Array("#!/bin/sh\nfor word; do echo \"[$word]\"; done\nexit 7\n".utf8))
    chmod(script, 0o755)
    let result = Binary.run(
      ["train", "a b.yaml", "--set", "x=", "--quiet"], scratch, program: lonely,
      environment: ["PATH=/nowhere:\(scratch.path("bin"))"])
    #expect(result.code == 7)
    #expect(result.output == "[a b.yaml]\n[--set]\n[x=]\n[--quiet]\n")
  }
}

/// Going on with a run.
@Suite struct TrainResumeTests {
  let scratch = Scratch()

  private func run(_ arguments: String...) -> Binary.Result { Binary.run(arguments, scratch) }

  private func write() -> String {
    let rows = (0..<20).map { "\($0),\($0 % 3),\(Double($0) * 0.5)\n" }.joined()
    _ = scratch.write("data.csv", Array(("a,b,y\n" + rows).utf8))
    let config = """
      seed: 1
      model: {sequential: [linear: {in: 2, out: 8}, dropout, relu, linear: {in: 8, out: 1}]}
      data: {train: {file: data.csv, inputs: [a, b], targets: [y]}, batch: 3, shuffle: true}
      loss: mse
      optimizer: {adamw: {lr: 0.01, no_decay: ["*.bias"]}}
      steps: 30
      log_every: 4
      checkpoint: {every: 10}
      out: run

      """
    return scratch.write("config.yaml", Array(config.utf8))
  }

  private var whole: String { scratch.path("whole/step-00000030.h5") }

  private func trainWhole(_ config: String) {
    #expect(run("train", config, "--quiet", "--out", scratch.path("whole")).code == 0)
  }

  @Test(arguments: [1, 7, 10, 29]) func aStoppedRunEndsWithTheSameBits(step: Int) {
    let config = write()
    trainWhole(config)
    #expect(run("train", config, "--quiet", "--steps", "\(step)").code == 0)
    let resumed = run("train", "--resume", scratch.path("run"))
    #expect(resumed.code == 0, "\(resumed)")
    #expect(resumed.error.hasPrefix("ckpt: going on from \(scratch.path("run/step-"))"))
    let diff = run("diff", whole, scratch.path("run/step-00000030.h5"))
    #expect(diff.code == 0, "\(diff)")
    let steps = scratch.read("run/metrics.csv").split(separator: "\n").dropFirst().map { $0.prefix { $0 != "," } }
    #expect(steps == ["1", "4", "8", "12", "16", "20", "24", "28", "30"])
  }

  @Test func aDamagedCheckpointIsPassedOverAndNamed() {
    let config = write()
    trainWhole(config)
    let newest = scratch.path("whole/step-00000030.h5")
    var bytes = scratch.bytes(newest)
    bytes[bytes.count / 2] ^= 1
    _ = scratch.write("whole/step-00000030.h5", bytes)
    let result = run("train", "--resume", scratch.path("whole"))
    #expect(result.code == 0, "\(result)")
    #expect(result.error.contains("ckpt: warning: \(newest) is passed over"))
    #expect(run("verify", newest).code == 0)
  }

  @Test func withoutACheckpointTheRunBeginsAnewAndSaysSo() {
    trainWhole(write())
    for name in Scratch.names(in: scratch.path("whole")) where name.hasSuffix(".h5") {
      unlink(scratch.path("whole/\(name)"))
    }
    let result = run("train", "--resume", scratch.path("whole"))
    #expect(result.code == 0, "\(result)")
    #expect(result.error.contains("starting from the beginning"))
    #expect(run("verify", whole).code == 0)
  }

  @Test func aLoneCheckpointGoesOnElsewhere() {
    let config = write()
    trainWhole(config)
    let moved = scratch.path("moved.h5")
    #expect(rename(scratch.path("whole/step-00000010.h5"), moved) == 0)
    let result = run("train", config, "--resume", moved, "--quiet", "--out", scratch.path("other"))
    #expect(result.code == 0, "\(result)")
    #expect(run("diff", whole, scratch.path("other/step-00000030.h5")).code == 0)
    let taken = run("train", config, "--resume", moved, "--quiet", "--out", scratch.path("whole"))
    #expect(taken.code == 73, "\(taken)")
  }

  @Test func stepsRaisesTheTargetOrStopsEarlier() {
    trainWhole(write())
    let longer = run("train", "--resume", scratch.path("whole"), "--steps", "35")
    #expect(longer.output.contains("35 steps"), "\(longer)")
    let middle = run(
      "train", "--resume", scratch.path("whole/step-00000010.h5"), "--steps", "15", "--out", scratch.path("b"))
    #expect(middle.output.contains("stopped at step 15 of 30"), "\(middle)")
  }

  @Test func setWinsOverTheStoredHyperparameters() {
    let config = write()
    #expect(run("train", config, "--quiet", "--steps", "5").code == 0)
    #expect(run("train", "--resume", scratch.path("run"), "--quiet", "--set", "optimizer.adamw.lr=0.5").code == 0)
    let rows = scratch.read("run/metrics.csv").split(separator: "\n")
    #expect(
      rows.map { $0.split(separator: ",", omittingEmptySubsequences: false)[3] }.dropFirst().prefix(3) == [
        "0.01", "0.01", "0.5",
      ])
    // A config beside --resume does not, unless it is asked for.
    let again = ["train", config, "--resume", scratch.path("run/step-00000030.h5"), "--quiet", "--steps", "36"]
    #expect(Binary.run(again, scratch).code == 0)
    #expect(scratch.read("run/metrics.csv").split(separator: "\n").last?.contains(",0.5,") ?? false)
    let config2 = [
      "train", config, "--resume", scratch.path("run/step-00000036.h5"), "--quiet", "--steps", "40",
      "--hyperparameters", "config",
    ]
    #expect(Binary.run(config2, scratch).code == 0)
    #expect(scratch.read("run/metrics.csv").split(separator: "\n").last?.contains(",0.01,") ?? false)
  }

  @Test func anotherModelIsRefusedInOneReport() {
    trainWhole(write())
    let before = scratch.bytes(whole)
    let result = run(
      "train", "--resume", scratch.path("whole"), "--set", "model.sequential.0.linear.out=9", "--set",
      "model.sequential.3.linear.in=9", "--steps", "40")
    #expect(result.code == 64, "\(result)")
    for words in ["'0.weight': shape [9, 2] is wanted, found [8, 2]", "'exp_avg' is [8, 2], the parameter [9, 2]"] {
      #expect(result.error.contains(words), "\(result)")
    }
    #expect(scratch.bytes(whole) == before)
  }

  @Test func threadsAndFoldersAreNoPartOfARun() {
    let config = write()
    trainWhole(config)
    #expect(run("train", config, "--quiet", "--set", "threads=1").code == 0)
    #expect(run("diff", whole, scratch.path("run/step-00000030.h5")).code == 0)
  }

  @Test func whatHoldsNoConfigNeedsOne() {
    let result = run("train", "--resume", Binary.fixture("torch/transformer_adamw.pt"))
    #expect(result.code == 64, "\(result)")
    #expect(result.error.hasPrefix("ckpt: error: "))
  }
}
