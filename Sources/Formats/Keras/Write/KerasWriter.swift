import Checkpoint
import HDF5

/// Writes a `.weights.h5`: libhdf5 makes groups and datasets, our own threads write the tensors' bytes.
struct KerasWriter {
  private let output: OutputFile
  private let options: Format.WriteOptions
  private var jobs: [WriteJob] = []
  private var warnings: [String] = []

  /// - Throws: `cannotCreate`, `inputOutput`, and what a tensor's source throws.
  static func write(
    _ root: Value, to path: String, _ options: Format.WriteOptions
  ) throws(CheckpointError) -> Format.Written {
    guard options.maximumShardSize == nil else {
      throw CheckpointError(
        .usage, "Keras' weights are written in one file", file: path, advice: "Leave out --max-shard-size.")
    }
    let plan = try KerasPlan(root, layout: options.layout, weightsAlone: options.weightsAlone)
    var writer = KerasWriter(output: try OutputFile(path, replaces: options.replaces), options: options)
    do throws(CheckpointError) {
      try writer.write(plan, root)
    } catch {
      // The user knows the name that was asked for, and not that of the file which is to get it.
      var copy = error
      if copy.file == writer.output.temporaryPath { copy.file = path }
      throw copy
    }
    return Format.Written(contentDigest: nil, warnings: plan.warnings + writer.warnings)
  }

  private init(output: OutputFile, options: Format.WriteOptions) {
    (self.output, self.options) = (output, options)
  }

  private mutating func write(_ plan: KerasPlan, _ root: Value) throws(CheckpointError) {
    let file = try hdf5 { () throws(HDF5Error) in
      try File.create(output.temporaryPath, truncating: true, locking: false)
    }
    let group = try hdf5 { () throws(HDF5Error) in try file.root() }
    try build(plan.root, in: group)
    var place = 0
    if let flat = plan.flat {
      // The digest in it is known when all bytes have passed; its length is.
      let bytes = try flat.rest().count
      place = try hdf5 { () throws(HDF5Error) -> Int in
        let dataset = try group.createDataset(FlatCheckpoint.key, type: .uint8, shape: .simple([bytes]))
        return Int(try dataset.offset ?? 0)
      }
    }
    try file.closeChecked()
    try output.reserve(try MappedFile(output.temporaryPath).count)
    _ = try ParallelWriter(progress: options.progress).write(jobs, to: output)
    if let flat = plan.flat {
      let rest = try flat.rest(digest: try CheckedSource.contentDigest(of: root))
      _ = try ParallelWriter().write([WriteJob(source: BufferSource(rest), offset: place)], to: output)
    }
    try output.commit()
  }

  private mutating func build(_ dict: Dict, in group: borrowing Group) throws(CheckpointError) {
    for field in dict.attributes where field.name != KerasOptimizer.attribute { try add(field, to: group) }
    for entry in dict.entries {
      let name = entry.key.text
      switch entry.value {
      case .dict(let below):
        let child = try hdf5 { () throws(HDF5Error) in try group.createGroup(name) }
        try build(below, in: child)
      case .tensor(let tensor): try add(tensor, name, to: group)
      default: throw CheckpointError(.unsupported, "is no tensor", place: name)
      }
    }
  }

  private mutating func add(_ field: Record.Field, to group: borrowing Group) throws(CheckpointError) {
    let value: AttributeValue
    switch field.value {
    case .string(let text) where !text.utf8.contains(0):
      return try hdf5 { () throws(HDF5Error) in try group.writeVariableText(field.name, text) }
    case .int(let number): value = .int(number)
    case .double(let number): value = .double(number)
    case .bool(let flag): value = .bool(flag)
    default:
      warnings.append("\(group.location.path): the attribute '\(field.name)' is left out")
      return
    }
    try hdf5 { () throws(HDF5Error) in try group.writeAttribute(field.name, value) }
  }

  private mutating func add(_ tensor: Tensor, _ name: String, to group: borrowing Group) throws(CheckpointError) {
    guard let storage = KerasStorage(tensor.dtype) else {
      throw CheckpointError(.unsupported, "\(tensor.dtype.rawValue) cannot be stored for Keras", place: name)
    }
    let shape: Shape = tensor.shape.isEmpty ? .scalar : .simple(tensor.shape)
    let offset = try hdf5 { () throws(HDF5Error) -> UInt64? in
      let dataset = try group.createDataset(name, type: storage.type, shape: shape)
      if let said = storage.name { try dataset.writeVariableText("dtype", said) }
      return try dataset.offset
    }
    guard tensor.byteCount > 0 else { return }
    guard let offset, let place = Int(exactly: offset) else {
      throw CheckpointError(.inputOutput, "the dataset has no place in the file", place: name)
    }
    jobs.append(WriteJob(source: tensor.source, offset: place))
  }
}
