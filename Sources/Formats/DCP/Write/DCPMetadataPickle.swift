import Checkpoint

/// The `.metadata` file: a pickle of PyTorch's dataclasses (PyTorch 2.13, `torch/distributed/checkpoint/metadata.py`),
/// with those of their fields that all versions since 2.0 have or do without.
struct DCPMetadataPickle {
  private var writer = PickleWriter()

  private static let module = "torch.distributed.checkpoint.metadata"

  /// - Parameter name: of a file by its number.
  static func bytes(_ leaves: [DCPFlattening.Leaf], _ plan: DCPPlan, name: (Int) -> String) -> [UInt8] {
    var pickle = DCPMetadataPickle()
    pickle.object(module, "Metadata") { pickle in
      pickle.field("state_dict_metadata") { $0.writeItems(leaves, plan) }
      pickle.field("planner_data") { $0.writePaths(leaves) }
      pickle.field("storage_data") { $0.writeStorage(leaves, plan, name) }
      pickle.field("storage_meta") { $0.writer.none() }
      pickle.field("version") { $0.writer.text("1.0.0") }
    }
    return pickle.writer.finish()
  }

  /// An object made without arguments, and its fields.
  private mutating func object(
    _ module: String, _ name: String, _ fields: (inout DCPMetadataPickle) -> Void
  ) {
    writer.global(module, name)
    writer.op(PickleOpcode.emptyTuple)
    writer.op(PickleOpcode.newObj)
    dict(fields)
    writer.op(PickleOpcode.build)
  }

  private mutating func dict(_ entries: (inout DCPMetadataPickle) -> Void) {
    writer.op(PickleOpcode.emptyDict)
    writer.op(PickleOpcode.mark)
    entries(&self)
    writer.op(PickleOpcode.setItems)
  }

  private mutating func field(_ name: String, _ value: (inout DCPMetadataPickle) -> Void) {
    writer.repeatedText(name)
    value(&self)
  }

  private mutating func size(_ sizes: [Int]) {
    writer.call("torch", "Size") { writer in
      writer.ints(sizes)
      writer.op(PickleOpcode.tuple1)
    }
  }

  // MARK: - state_dict_metadata

  private mutating func writeItems(_ leaves: [DCPFlattening.Leaf], _ plan: DCPPlan) {
    var boxes: [[(offsets: [Int], sizes: [Int])]] = Array(repeating: [], count: leaves.count)
    for piece in plan.pieces { if let box = piece.box { boxes[piece.leaf].append(box) } }
    dict { pickle in
      for (leaf, boxes) in zip(leaves, boxes) {
        pickle.writer.text(leaf.name)
        if case .tensor(let tensor) = leaf.value, !boxes.isEmpty {
          pickle.write(tensor, boxes)
        } else {
          pickle.writer.global(Self.module, "BytesStorageMetadata")
          pickle.writer.op(PickleOpcode.emptyTuple)
          pickle.writer.op(PickleOpcode.newObj)
        }
      }
    }
  }

  private mutating func write(_ tensor: Tensor, _ boxes: [(offsets: [Int], sizes: [Int])]) {
    object(Self.module, "TensorStorageMetadata") { pickle in
      pickle.field("properties") { $0.writeProperties(tensor.dtype) }
      pickle.field("size") { $0.size(tensor.shape) }
      pickle.field("chunks") { pickle in
        pickle.writer.op(PickleOpcode.emptyList)
        pickle.writer.op(PickleOpcode.mark)
        for box in boxes {
          pickle.object(Self.module, "ChunkStorageMetadata") { pickle in
            pickle.field("offsets") { $0.size(box.offsets) }
            pickle.field("sizes") { $0.size(box.sizes) }
          }
        }
        pickle.writer.op(PickleOpcode.appends)
      }
    }
  }

  /// (dtype, layout, requires_grad, memory format, pin_memory)
  private mutating func writeProperties(_ dtype: DType) {
    writer.global(Self.module, "TensorProperties")
    writer.op(PickleOpcode.emptyTuple)
    writer.op(PickleOpcode.newObj)
    writer.op(PickleOpcode.mark)
    writer.global("torch", dtype.rawValue)
    writer.call("torch.serialization", "_get_layout") { writer in
      writer.repeatedText("torch.strided")
      writer.op(PickleOpcode.tuple1)
    }
    writer.bool(false)
    writer.call(Self.module, "_MEM_FORMAT_ENCODING") { writer in
      writer.int(0)
      writer.op(PickleOpcode.tuple1)
    }
    writer.bool(false)
    writer.op(PickleOpcode.tuple)
    writer.op(PickleOpcode.build)
  }

  // MARK: - planner_data, storage_data

  private mutating func writePaths(_ leaves: [DCPFlattening.Leaf]) {
    dict { pickle in
      for leaf in leaves {
        pickle.writer.text(leaf.name)
        if leaf.path.count > 3 { pickle.writer.op(PickleOpcode.mark) }
        for step in leaf.path {
          switch step {
          case .int(let place): pickle.writer.int(place)
          case .string(let text): pickle.writer.repeatedText(text)
          default: pickle.writer.text(step.text)
          }
        }
        pickle.writer.endTuple(leaf.path.count)
      }
    }
  }

  private mutating func writeStorage(_ leaves: [DCPFlattening.Leaf], _ plan: DCPPlan, _ name: (Int) -> String) {
    var counts = Array(repeating: 0, count: leaves.count)
    dict { pickle in
      for piece in plan.pieces {
        pickle.object(Self.module, "MetadataIndex") { pickle in
          pickle.field("fqn") { $0.writer.text(leaves[piece.leaf].name) }
          guard let box = piece.box else { return pickle.field("index") { $0.writer.none() } }
          pickle.field("index") { $0.writer.int(Int64(counts[piece.leaf])) }
          pickle.field("offset") { $0.size(box.offsets) }
          counts[piece.leaf] += 1
        }
        pickle.object("torch.distributed.checkpoint.filesystem", "_StorageInfo") { pickle in
          pickle.field("relative_path") { $0.writer.repeatedText(name(piece.file)) }
          pickle.field("offset") { $0.writer.int(Int64(piece.start)) }
          pickle.field("length") { $0.writer.int(Int64(piece.length)) }
        }
      }
    }
  }
}
