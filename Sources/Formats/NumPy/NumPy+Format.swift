import Checkpoint

extension Format {
  /// NumPy's archive of arrays, `np.savez` and `np.savez_compressed`.
  static let npz = Format(
    kind: .npz, id: "npz", name: "NumPy archive",
    recognises: NumPyFile.isArchive,
    read: { (path, options) throws(CheckpointError) in
      let checkpoint = try NumPyFile.read(path, verifies: options.verifies)
      return Opened(checkpoint: checkpoint, version: nil, producer: nil, bytes: try FileStart(path).size)
    },
    write: { (root, path, options) throws(CheckpointError) in try NumPyFile.writeArchive(root, to: path, options) },
    verify: NumPyFile.verify,
    limits:
      "nothing; programs that do not know 'ckpt.training' see names and arrays alone, types that NumPy lacks as the "
      + "fields of structured ones, tied tensors twice")

  /// One array, `np.save`.
  static let npy = Format(
    kind: .npy, id: "npy", name: "NumPy array",
    recognises: { NumPyFile.isArray($0.bytes) },
    read: { (path, options) throws(CheckpointError) in
      let checkpoint = try NumPyFile.read(path, verifies: options.verifies)
      return Opened(checkpoint: checkpoint, version: nil, producer: nil, bytes: try FileStart(path).size)
    },
    write: { (root, path, options) throws(CheckpointError) in try NumPyFile.writeArray(root, to: path, options) },
    verify: NumPyFile.verify,
    limits: "more than one tensor, names, and all that is no tensor; types below a byte only as bytes")
}
