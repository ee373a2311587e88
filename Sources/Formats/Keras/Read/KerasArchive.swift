import Checkpoint
import HDF5

/// The `.keras` archive of Keras 3: a zip file with the model's description and its weights as an HDF5 file.
enum KerasArchive {
  static func read(_ path: String, verify: Bool) throws(CheckpointError) -> KerasFile {
    let archive = try ZipArchive(try MappedFile(path), naming: .any)
    do throws(CheckpointError) {
      var texts: [Record.Field] = []
      for name in [Keras.metadata, Keras.config] {
        guard let entry = archive.entry(name) else { continue }
        texts.append(Record.Field(name, .string(try text(entry, of: archive, verify: verify))))
      }
      var file = try weights(archive, texts: texts, verify: verify)
      file.warnings += left(archive)
      return file
    } catch {
      throw error.inFile(path)
    }
  }

  private static func weights(
    _ archive: ZipArchive, texts: [Record.Field], verify: Bool
  ) throws(CheckpointError) -> KerasFile {
    guard let entry = archive.entry(Keras.weights) else {
      let names = archive.entries.map(\.name)
      throw CheckpointError(
        .unsupported, "has no \(Keras.weights); it has \(listed(names, most: 5))",
        advice: "Keras can also keep weights as .npz or in several files there, which is not supported.")
    }
    var reader = KerasReader(try HDF5Content(entry, of: archive, verify: verify))
    do throws(CheckpointError) {
      var root = try reader.read()
      root.attributes += texts
      return KerasFile(form: .archive, root: root, reader: reader, bytes: archive.file.count)
    } catch {
      throw error.at(Keras.weights)
    }
  }

  private static func text(
    _ entry: ZipEntry, of archive: ZipArchive, verify: Bool
  ) throws(CheckpointError) -> String {
    guard entry.size <= Keras.maximumText else {
      throw CheckpointError(
        .unsupported, "\(entry.size) bytes; a description of at most \(Keras.maximumText) is read",
        place: "record \(entry.name)")
    }
    var text: String?
    try archive.source(entry, verify: verify).withBytes { (bytes) throws(CheckpointError) in
      text = String(validating: bytes, as: UTF8.self)
    }
    guard let text else { throw CheckpointError(.damaged, "is not UTF-8", place: "record \(entry.name)") }
    return text
  }

  /// What the tree has no place for.
  private static func left(_ archive: ZipArchive) -> [String] {
    let known = [Keras.metadata, Keras.config, Keras.weights]
    let rest = archive.entries.map(\.name).filter { name in !known.contains { $0.hasSameBytes(as: name) } }
    guard !rest.isEmpty else { return [] }
    return ["left out, for they are no tensors (a layer's assets): \(listed(rest))"]
  }

  /// The records' CRC-32.
  static func problems(_ path: String) throws(CheckpointError) -> [VerifyReport.Problem] {
    let archive = try ZipArchive(try MappedFile(path), naming: .any)
    var problems: [VerifyReport.Problem] = []
    for entry in archive.entries {
      problems += try VerifyReport.problem(at: "record \(entry.name)") { () throws(CheckpointError) in
        try archive.source(entry, verify: true).forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
      }
    }
    return problems
  }
}
