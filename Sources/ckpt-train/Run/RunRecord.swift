import Checkpoint
import Training

/// `run.yaml` beside a run's checkpoints: its config, and where the config's relative paths lead. The second is no
/// part of the checkpoints, which are the same wherever the run's folder is.
struct RunRecord {
  var config: ConfigNode
  /// The config's folder, seen from the run's.
  var folder: String

  static let name = "run.yaml"

  static func path(in out: String) -> String { Paths.join(out, name) }

  /// - Throws: `cannotCreate`, `inputOutput`.
  func write(to out: String) throws(CheckpointError) {
    let node = ConfigNode(
      content: .map([
        ConfigNode.Entry(
          key: "folder", place: .stored, value: ConfigNode(content: .scalar(.string(folder)), place: .stored)),
        ConfigNode.Entry(key: "config", place: .stored, value: config),
      ]), place: .stored)
    let text = """
      # Kept by ckpt train for --resume: the run's config, and the folder that its relative paths begin in.

      """
    try TextFile.write(text + ConfigWriter.text(node), to: Self.path(in: out))
  }

  /// What lies in a run's folder; nil where nothing does.
  ///
  /// - Throws: `ConfigErrors` and `CheckpointError` for a file that cannot be used.
  static func read(in out: String) throws -> RunRecord? {
    let path = path(in: out)
    guard Paths.exists(path) else { return nil }
    let root = try ConfigText.parse(try TextFile.read(path, limit: 2 * ConfigText.maxBytes), file: path)
    guard case .map(let entries) = root.content,
      case .scalar(.string(let folder))? = entries.first(where: { $0.key == "folder" })?.value.content,
      let config = entries.first(where: { $0.key == "config" })?.value
    else {
      throw CheckpointError(
        .damaged, "expected the keys 'folder' and 'config'", file: path,
        advice: "Remove it, and give the config: ckpt train CONFIG.yaml --resume \(out)")
    }
    return RunRecord(config: config, folder: folder)
  }
}
