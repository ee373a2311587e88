import Checkpoint

extension Format {
  /// A folder of DeepSpeed's `save_checkpoint`, or of one of its steps.
  static let deepSpeed = Format.deepSpeed(
    id: "deepspeed", name: "DeepSpeed checkpoint",
    recognises: { start in
      guard start.isFolder, let names = PartsFolder.names(in: start.path) else { return false }
      return names.contains("latest") && DeepSpeedFolder.isText(start.path + "/latest")
        || names.contains { DeepSpeedFile($0) != nil }
    },
    tree: DeepSpeedCheckpoint.self)

  /// A kind of DeepSpeed's folders, which are only read.
  static func deepSpeed<Tree: DeepSpeedTree>(
    id: String, name: String, recognises: @escaping Recogniser, tree: Tree.Type
  ) -> Format {
    Format(
      kind: .pt, id: id, name: name, recognises: recognises,
      read: { (path, options) throws(CheckpointError) in
        let opened = try Tree(path, verify: options.verifies)
        return Opened(
          checkpoint: Checkpoint(root: .dict(opened.root), warnings: opened.warnings), version: nil,
          producer: opened.version.map { "DeepSpeed \($0)" }, bytes: opened.bytes)
      },
      write: nil,
      verify: { (path) throws(CheckpointError) in try DeepSpeedVerification.run(try Tree(path, verify: true)) })
  }
}

/// What was read of a folder of DeepSpeed's.
protocol DeepSpeedTree: SendableMetatype {
  init(_ path: String, verify: Bool) throws(CheckpointError)

  var root: Dict { get }
  var warnings: [String] { get }
  /// Bytes of all files that were read, and how many they are.
  var bytes: Int { get }
  var files: Int { get }
  /// DeepSpeed's own version.
  var version: String? { get }
}

extension DeepSpeedFolder {
  /// Whether a file may be `latest`: a short text.
  static func isText(_ path: String) -> Bool {
    guard let start = try? FileStart(path), !start.isFolder, start.size > 0, start.size <= 1024 else { return false }
    return start.bytes.allSatisfy { $0 >= 0x20 || $0 == 0x0A || $0 == 0x0D }
  }
}

/// Checks a folder of DeepSpeed's: that every part of every tensor is there, and holds what it should.
enum DeepSpeedVerification {
  /// - Throws: `missing`, `inputOutput`; damage is what it returns.
  static func run(_ read: @autoclosure () throws(CheckpointError) -> some DeepSpeedTree) throws(CheckpointError)
    -> VerifyReport
  {
    var report = VerifyReport()
    var found: (any DeepSpeedTree)?
    report.problems = try VerifyReport.problem { () throws(CheckpointError) in found = try read() }
    guard let found else { return report }
    report.checked.append("\(found.files) files: all ranks there, of one step, with the parts that the shapes take")
    report.warnings = found.warnings
    let tensors = TensorTable(.dict(found.root)).tensors
    for tensor in tensors {
      report.problems += try VerifyReport.problem { () throws(CheckpointError) in
        // The checksum of a record is compared when its last byte has passed.
        try tensor.source.forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
      }
    }
    report.checked.append("\(tensors.count) tensors, with the CRC-32 that their files have recorded")
    return report
  }
}
