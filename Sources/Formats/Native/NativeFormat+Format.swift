import Checkpoint
import HDF5

extension Format {
  /// ckpt's own HDF5 files.
  static let native = Format(
    kind: .ckpt, id: "ckpt-h5", name: "ckpt HDF5 checkpoint",
    recognises: { NativeFormat.recognises($0) },
    read: { (path, _) throws(CheckpointError) in
      let checkpoint = try NativeFormat.read(path)
      let header = try NativeFormat.header(path)
      return Opened(
        checkpoint: checkpoint, version: header.version, producer: header.producer, bytes: try FileStart(path).size)
    },
    write: { (root, path, options) throws(CheckpointError) in
      var native = NativeFormat.WriteOptions()
      native.replaces = options.replaces
      native.digest = options.digest
      native.progress = options.progress
      let written = try NativeFormat.write(root, to: path, options: native)
      return Written(contentDigest: written.contentDigest, warnings: written.warnings)
    },
    verify: { (path) throws(CheckpointError) in try NativeFormat.verify(path) })
}

extension NativeFormat {
  /// Whether a file is one of ours, damaged or not. What libhdf5 can open says so itself; in what it cannot, the root's
  /// attributes are looked for near the start, where a writer puts them.
  static func recognises(_ start: FileStart) -> Bool {
    guard start.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) else { return false }
    let looksSo = start.contains("format_version") && start.contains("content_digest") && start.contains("ckpt")
    return recognises(start.path) || (looksSo && !canOpen(start.path))
  }

  private static func canOpen(_ path: String) -> Bool {
    do throws(HDF5Error) {
      _ = try File.open(path, .readOnly).root().attributeNames()
      return true
    } catch {
      return false
    }
  }
}
