import Testing

@testable import ckpt

@Suite struct ExitCodeTests {
  let scratch = Scratch()
  private static let state = Binary.fixture("torch/state_dict.pt")

  private func run(_ arguments: String...) -> Binary.Result { Binary.run(arguments, scratch) }

  @Test(arguments: [
    ["--nonsense"], ["nonsense"], ["inspect"], ["convert", "a.pt"], ["inspect", "a.pt", "--sort", "colour"],
    ["convert", "-", "a.h5"], ["diff", "a", "b", "--rtol", "-1"], ["convert", "a.pt", "b.h5", "--from", "word"],
    ["convert", "a.pt", "b.h5", "--dtype", "float33"], ["convert", "a.pt", "b.h5", "--rename", "(=x"],
    ["inspect", "a.pt", "--json", "--values", "x"], ["convert", "a.pt", "b.nonsense"],
  ])
  func usage(arguments: [String]) {
    let result = Binary.run(arguments, scratch)
    #expect(result.code == 64, "\(result)")
    #expect(result.error.hasPrefix("ckpt: error: "))
    #expect(result.error.split(separator: "\n").count == 2, "\(result.error)")
    #expect(result.output.isEmpty)
  }

  @Test func helpVersionAndCompletions() {
    #expect(run("--version").output == "\(Root.version)\n")
    #expect(run("--help").output.contains("convert"))
    #expect(run("convert", "--help").output.contains("--strip-prefix"))
    #expect(run("--generate-completion-script", "bash").output.contains("ckpt"))
  }

  @Test(arguments: ["", "inspect", "convert", "verify", "diff"]) func helpFitsEightyColumns(command: String) {
    let text = Binary.run([command, "--help"].filter { !$0.isEmpty }, scratch).output
    #expect(text.split(separator: "\n").allSatisfy { $0.utf8.count <= 80 }, "\(text)")
  }

  @Test func unknownCommandIsNamed() {
    #expect(run("insepct", "a.pt").error.contains("no command 'insepct'"))
  }

  @Test func missingInput() {
    for arguments in [
      ["inspect", "no.pt"], ["verify", "no.pt"], ["convert", "no.pt", scratch.path("a.h5")],
      ["diff", Self.state, "no.pt"],
    ] {
      let result = Binary.run(arguments, scratch)
      #expect(result.code == 66)
      #expect(result.error.contains("no.pt: no such file"))
    }
  }

  @Test func unknownKind() {
    let path = scratch.write("a.pt", Array("not a checkpoint".utf8))
    for command in ["inspect", "verify"] { #expect(run(command, path).code == 65) }
    #expect(run("convert", path, scratch.path("a.h5")).code == 65)
    #expect(run("convert", path, scratch.path("a.h5"), "--from", "gguf").error.contains("GGUF"))
  }

  @Test func foldersAreNamed() {
    #expect(run("inspect", scratch.folder).error.contains("is a folder"))
  }

  @Test func existingOutputIsRefused() {
    let out = scratch.write("a.h5", [1])
    let refused = run("convert", Self.state, out)
    #expect(refused.code == 73)
    #expect(refused.error.contains("--overwrite"))
    #expect(scratch.bytes(out) == [1])
    #expect(run("convert", Self.state, out, "--overwrite").code == 0)
    #expect(run("verify", out).code == 0)
    #expect(run("convert", Self.state, scratch.path("no/a.h5")).code == 73)
  }

  @Test func outputThatIsFull() {
    let result = Binary.run(["inspect", Self.state], scratch, fullDisk: true)
    #expect(result.code == 74)
  }

  @Test func damageIsTold() throws {
    let out = scratch.path("a.h5")
    #expect(run("convert", Self.state, out).code == 0)
    var bytes = scratch.bytes(out)
    bytes.removeLast()
    let cut = scratch.write("cut.h5", bytes)
    let result = run("verify", out, cut, "--json")
    #expect(result.code == 1)
    let report = try JSONTree(result.output)
    #expect(report["schema"]?.text == "ckpt.verify/1")
    #expect(report["ok"] == .bool(false))
    #expect(report["files"]?.items.map { $0["ok"] } == [.bool(true), .bool(false)])
    #expect(report["files"]?.items.last?["problems"]?.items.first?.keys == ["where", "what"])
  }

  @Test func strictCountsWhatIsOdd() {
    let file = Binary.fixture("torch/no_crc.pt")
    #expect(run("verify", file).code == 0)
    #expect(run("verify", file, "--strict").code == 1)
  }

  @Test func oneMissingFileAmongSoundOnes() {
    let result = run("verify", Self.state, "no.pt")
    #expect(result.code == 66)
    #expect(result.output.contains("sound"))
  }
}
