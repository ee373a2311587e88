import Checkpoint

/// Trees that are none of Keras, which ckpt wrote as a `.weights.h5`: names and tensors, and how they belong together.
extension KerasFile {
  /// Whether the file has the rest that tells it.
  var isFlat: Bool {
    if case .tensor(let tensor)? = root[FlatCheckpoint.key] {
      tensor.dtype == .uint8 && tensor.shape.count == 1
    } else {
      false
    }
  }

  /// The tree as it was; where the file was changed since, its names and tensors, with a warning.
  func flatCheckpoint() throws(CheckpointError) -> Checkpoint {
    guard case .tensor(let rest)? = root[FlatCheckpoint.key] else {
      throw CheckpointError(.damaged, "there is no '\(FlatCheckpoint.key)'")
    }
    var tensors: [(name: String, tensor: Tensor)] = []
    for place in places where place.path != [FlatCheckpoint.key] {
      tensors.append((name(place.path), place.tensor))
    }
    do throws(CheckpointError) {
      var checkpoint = try FlatTree.checkpoint(tensors, rest: try rest.elements(as: UInt8.self))
      checkpoint.warnings = warnings
      return checkpoint
    } catch {
      let entries = tensors.map { Dict.Entry(.string($0.name), .tensor($0.tensor)) }
      return Checkpoint(root: .dict(Dict(entries)), warnings: warnings + [FlatTree.warning(error)])
    }
  }

  private func name(_ path: [String]) -> String {
    if path.first == KerasNesting.others, path.count == 3, case .dict(let others)? = root[KerasNesting.others],
      case .dict(let one)? = others[path[1]],
      case .string(let name)? = one.attributes.first(where: { $0.name == "name" })?.value
    {
      return name
    }
    return path.joined(separator: ".")
  }
}
