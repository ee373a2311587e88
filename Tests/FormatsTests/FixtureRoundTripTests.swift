import Checkpoint
import Testing

@testable import CheckpointFormats

/// Every fixture that real torch made, through both formats. DIG-1: one content, one digest, whatever the container.
@Suite struct FixtureRoundTripTests {
  static let files = [
    "adam_int_step", "adam_tensor_lr", "big_endian", "cnn_adam_amsgrad", "deflated", "dtypes", "gan", "lightning",
    "minimal", "no_crc", "objects", "odd_names", "optimizer_alone", "optimizer_fsdp_names", "optimizer_mixed_steps",
    "optimizer_object_ids", "optimizer_others", "optimizer_param_names", "optimizer_partial_state",
    "optimizer_unstepped", "parameters", "protocol1", "protocol3", "protocol4", "protocol5", "quantised",
    "sgd_momentum",
    "sgd_plain", "sparse", "state_dict", "surrogates", "transformer_adamw", "views",
  ]
  @Test(arguments: files) func theContentSurvivesBothFormats(name: String) throws {
    let folder = TemporaryFolder()
    let source = try TorchZip.read(fixture("torch/\(name).pt"))
    let content = try ContentDigest.compute(source.root)

    let written = try NativeFormat.write(source.root, to: folder.file("a.h5"))
    #expect(written.contentDigest == content)
    let native = try NativeFormat.read(folder.file("a.h5"))
    let nativeContent = try ContentDigest.compute(native.root)
    #expect(nativeContent == content)
    #expect(native.warnings == [])
    let report = try NativeFormat.verify(folder.file("a.h5"))
    #expect(report.problems.map { "\($0.place): \($0.what)" } == [])

    let warnings = try TorchZip.write(native.root, to: folder.file("b.pt"))
    let back = try TorchZip.read(folder.file("b.pt"))
    let backContent = try ContentDigest.compute(back.root)
    // What `weights_only` refuses is replaced in a `.pt`, and a warning says so. Nothing else changes.
    #expect((backContent == content) == warnings.isEmpty, "\(warnings)")
    // Written once more, it is the same file: nothing is lost or made up on the way.
    _ = try NativeFormat.write(back.root, to: folder.file("c.h5"))
    _ = try TorchZip.write(try NativeFormat.read(folder.file("c.h5")).root, to: folder.file("b2.pt"))
    let again = try ContentDigest.compute(try TorchZip.read(folder.file("b2.pt")).root)
    let once = try ContentDigest.compute(back.root)
    #expect(again == once)
  }

  @Test func theListNamesEveryFixture() throws {
    let folder = fixture("torch")
    let found = filesIn(folder).filter { $0.hasSuffix(".pt") }.map { String($0.dropLast(3)) }
    #expect(found == Self.files.sorted())
  }
}
