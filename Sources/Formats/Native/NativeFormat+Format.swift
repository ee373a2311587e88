import Checkpoint
import HDF5

extension Format {
  /// ckpt's own HDF5 files.
  static let native = Format(
    kind: .ckpt, id: "ckpt-h5", name: "ckpt HDF5 checkpoint",
    recognises: { NativeFormat.recognises($0) },
    read: { (path, _) throws(CheckpointError) in
      let (checkpoint, header) = try NativeFormat.open(path)
      return Opened(
        checkpoint: checkpoint, version: header.version, producer: header.producer, bytes: header.bytes)
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
  /// Whether a file is one of ours, damaged or not: the root's attributes stand near the start, where this writer puts
  /// them, or libhdf5 finds them elsewhere.
  static func recognises(_ start: FileStart) -> Bool {
    guard start.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) else { return false }
    return start.contains("format_version") && start.contains("ckpt") || recognises(start.path)
  }
}
