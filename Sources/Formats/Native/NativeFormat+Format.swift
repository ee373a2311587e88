import Checkpoint

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
  /// Whether a file is one of ours, damaged or not. The root's first attributes lie near the file's start, where this
  /// looks for them, since libhdf5 takes a millisecond to open a file and cannot open one that is cut short. It is asked
  /// where they are not found: other programs may have moved them.
  static func recognises(_ start: FileStart) -> Bool {
    guard start.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) else { return false }
    if start.contains("format\0"), start.contains("ckpt"), start.contains("format_version\0") { return true }
    return recognises(start.path)
  }
}
