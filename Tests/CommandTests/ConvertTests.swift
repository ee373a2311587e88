import Testing

@testable import ckpt

@Suite struct ConvertTests {
  let scratch = Scratch()
  private static let state = Binary.fixture("torch/state_dict.pt")

  private func run(_ arguments: String...) -> Binary.Result { Binary.run(arguments, scratch) }

  @Test func thereAndBackWithOneDigest() throws {
    let (h5, pt, again) = (scratch.path("a.h5"), scratch.path("a.pt"), scratch.path("b.h5"))
    let source = Binary.fixture("torch/transformer_adamw.pt")
    let digests = [run("convert", source, h5), run("convert", h5, pt), run("convert", pt, again)].map { result in
      #expect(result.code == 0, "\(result.error)")
      return result.output.split(separator: " ").last.map(String.init) ?? ""
    }
    #expect(digests[0].hasPrefix("xxh3-128:"))
    #expect(Set(digests).count == 1)
    #expect(run("diff", source, pt).code == 0)
    #expect(run("diff", h5, again, "--trust-digests").output.contains("equal"))
  }

  @Test func summaries() throws {
    let quiet = run("convert", Self.state, scratch.path("a.h5"), "--quiet")
    #expect(quiet.output + quiet.error == "")
    let report = try JSONTree(run("convert", Self.state, scratch.path("b.h5"), "--json").output)
    #expect(
      report.keys == [
        "schema", "inputs", "output", "format", "bytes", "tensors", "content_digest", "lossless", "lost", "warnings",
      ])
    #expect(report["lossless"] == .bool(true))
  }

  @Test func optionsChangeTheTree() {
    let source = Binary.fixture("torch/transformer_adamw.pt")
    let out = scratch.path("a.pt")
    #expect(run("convert", source, out, "--model-only", "--dtype", "bfloat16").code == 0)
    let view = run("inspect", out).output
    #expect(view.contains("bfloat16"))
    #expect(!view.contains("Optimizer"))
  }

  @Test func patternsThatFitNothingAreWarnedOf() {
    let result = run("convert", Self.state, scratch.path("a.pt"), "--exclude", "nothing*")
    #expect(result.code == 0)
    #expect(result.error.hasPrefix("ckpt: warning: "))
  }

  @Test func aDamagedSourceLeavesNothing() {
    let h5 = scratch.path("a.h5")
    #expect(run("convert", Self.state, h5).code == 0)
    var bytes = scratch.bytes(h5)
    // The largest tensor's last byte lies well before the metadata at the end.
    bytes[bytes.count / 2] ^= 1
    let bad = scratch.write("bad.h5", bytes)
    let result = run("convert", bad, scratch.path("out.pt"))
    #expect([0, 65].contains(result.code))
    #expect(scratch.names().contains("out.pt") == (result.code == 0))
    #expect(run("verify", bad).code == 1)
  }

  @Test func inputsThatClashAreNamed() {
    let result = run("convert", Self.state, Self.state, scratch.path("a.h5"))
    #expect(result.code == 64)
    #expect(result.error.contains("conv1.weight"))
  }
}

@Suite struct DiffTests {
  let scratch = Scratch()

  @Test func humanView() {
    let result = Binary.run(
      ["diff", Binary.fixture("torch/sgd_momentum.pt"), Binary.fixture("torch/sgd_plain.pt")], scratch)
    #expect(result.code == 1)
    #expect(result.output.contains("differ: 7 changed, 4 only in the first"))
    #expect(result.output.contains("  model.fc1.bias         5   5  "), "\(result.output)")
    #expect(result.output.contains("  optimizer.param_groups.0.nesterov      True -> False\n"), "\(result.output)")
  }

  @Test func conditionsOfEqualityAreSaid() {
    let file = Binary.fixture("torch/sgd_momentum.pt")
    #expect(
      Binary.run(["diff", file, file], scratch).output.hasSuffix(" are equal (8 tensors, and everything else)\n"))
    let loose = Binary.run(["diff", file, file, "--rtol", "0.1", "--ignore", "optimizer*"], scratch)
    #expect(loose.output.hasSuffix(" are equal within the tolerance, but for what was ignored\n"), "\(loose.output)")
  }

  @Test func values() {
    let result = Binary.run(
      ["diff", Binary.fixture("torch/sgd_momentum.pt"), Binary.fixture("torch/sgd_plain.pt"), "--values"], scratch)
    #expect(result.output.contains("\n    [0, 0]"))
  }

  @Test func schema() throws {
    let result = Binary.run(
      ["diff", Binary.fixture("torch/sgd_momentum.pt"), Binary.fixture("torch/sgd_plain.pt"), "--json"], scratch)
    let report = try JSONTree(result.output)
    #expect(report.keys == ["schema", "equal", "only_in_a", "only_in_b", "changed"])
    #expect(report["changed"]?.items.first?.keys == ["path", "what", "a", "b", "max_abs", "max_rel", "differing"])
    #expect(try JSONTree(String(decoding: DiffView.equalJSON, as: UTF8.self))["equal"] == .bool(true))
  }

  @Test func ignoredPathsAndTolerance() {
    let files = [Binary.fixture("torch/sgd_momentum.pt"), Binary.fixture("torch/sgd_plain.pt")]
    #expect(Binary.run(["diff"] + files + ["--ignore", "optimizer*", "--atol", "1"], scratch).code == 0)
    #expect(Binary.run(["diff"] + files + ["--ignore", "optimizer*"], scratch).code == 1)
  }
}
