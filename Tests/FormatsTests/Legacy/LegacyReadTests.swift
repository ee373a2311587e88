import Checkpoint
import Testing

@testable import CheckpointFormats

/// A fixture of one of the old kinds, as a folder and a file name.
struct OldFile: Sendable, CustomTestStringConvertible {
  let folder: String
  let name: String

  var path: String { "\(fixtureFolder)/\(folder)/\(name)" }
  var testDescription: String { "\(folder)/\(name)" }

  static let folders = ["legacy", "torch-1.0", "torch-1.0-python2", "torch-1.13", "torch-2.0"]

  static let all = folders.flatMap { folder in
    namesIn("\(fixtureFolder)/\(folder)").filter { $0.hasSuffix(".pt") || $0.hasSuffix(".pkl") }.map {
      OldFile(folder: folder, name: $0)
    }
  }

  /// Those of which torch, pickle or joblib said what they hold.
  static let expected = all.filter { file in
    namesIn("\(fixtureFolder)/\(file.folder)/expected").contains(file.name + ".txt")
  }

  func read() throws -> Checkpoint { try Format.input(path).read(path, Format.ReadOptions()).checkpoint }

  /// What its line in `expected` says.
  func expectation() throws -> [String] {
    try String(decoding: fileBytes("\(fixtureFolder)/\(folder)/expected/\(name).txt"), as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
  }
}

@Suite struct LegacyReadTests {
  /// Values, keys, dtypes, shapes, bytes and ties of streams, tar archives and pickles of all ages.
  @Test(arguments: OldFile.expected)
  func findsWhatPythonFinds(_ file: OldFile) throws {
    let lines = try TorchDump.lines(file.read().root)
    let wanted = try file.expectation()
    for (found, wanted) in zip(lines, wanted) { #expect(found == wanted) }
    #expect(lines.count == wanted.count)
  }

  @Test func allKindsAreThere() {
    #expect(OldFile.expected.count >= 38)
    for folder in OldFile.folders { #expect(OldFile.expected.contains { $0.folder == folder }) }
  }

  @Test(arguments: OldFile.all)
  func isRecognisedByContentAndSound(_ file: OldFile) throws {
    let format = try Format.input(file.path)
    let id =
      switch file.name {
      case "tar.pt", "tar_gnu.pt": "torch-tar"
      case _ where file.name.hasSuffix(".pkl"): "pickle"
      case _ where file.folder == "legacy" || file.name.contains("legacy"): "torch-legacy"
      default: "torch-zip"
      }
    #expect(format.id == id)
    let report = try format.verify(file.path)
    #expect(report.problems.isEmpty)
    #expect(report.checked.count >= 2)
  }

  /// Before PyTorch 1.4 big-endian machines wrote the counts in their own order; the elements never.
  @Test func bigEndianCountsAreRead() throws {
    let swapped = try TorchDump.lines(OldFile(folder: "legacy", name: "big_endian_counts.pt").read().root)
    #expect(try swapped == TorchDump.lines(OldFile(folder: "legacy", name: "big_endian.pt").read().root))
    #expect(swapped.count == 3)
  }

  /// A class that is named together with its source is named all the same, and the source is not kept.
  @Test(arguments: [
    OldFile(folder: "legacy", name: "module.pt"), OldFile(folder: "torch-1.0", name: "module_legacy.pt"),
  ])
  func modulesWithTheirSourceKeepTheirTensors(_ file: OldFile) throws {
    let root = try file.read().root
    var tensors: [Tensor] = []
    collect(root, &tensors)
    #expect(tensors.map(\.shape).contains([2, 3]))
    #expect(!"\(root)".contains("def forward"))
  }

  @Test func tensorsLieInTheMappedFile() throws {
    for file in ["checkpoint.pt", "tar.pt", "plain_protocol4.pkl", "joblib.pkl"] {
      let file = OldFile(folder: "legacy", name: file)
      var tensors: [Tensor] = []
      collect(try file.read().root, &tensors)
      let mapped = tensors.filter { ($0.source as? MappedRange)?.file.path == file.path }
      #expect(mapped.count >= 2, "\(file.name)")
    }
  }

  private func collect(_ value: Value, _ tensors: inout [Tensor]) {
    switch value {
    case .tensor(let tensor): tensors.append(tensor)
    case .sequence(_, let items): for item in items { collect(item, &tensors) }
    case .dict(let dict): for entry in dict.entries { collect(entry.value, &tensors) }
    case .record(let record): for field in record.fields { collect(field.value, &tensors) }
    default: break
    }
  }
}
