import Checkpoint

// joblib's pickles have the bytes of each array between the opcodes, after the BUILD of an object that describes it.
// (joblib 1.5, `joblib/numpy_pickle.py`.)
extension PickleMachine {
  /// Whether an object is such a description.
  func isJoblibArray(_ object: PickleObject) -> Bool {
    guard case .global(let index) = pickle.nodes[Int(object.callable)] else { return false }
    let global = pickle.globals[Int(index)]
    return global.name == "NumpyArrayWrapper" && global.module.hasSuffix("joblib.numpy_pickle")
  }

  /// Takes the bytes that follow and makes them the object's only item.
  mutating func takeJoblibArray(_ object: Int, state: Int32) throws(CheckpointError) {
    let fields = try dictFields(state)
    guard let dtype = fields["dtype"], let shape = fields["shape"] else {
      throw damaged("joblib's description of an array lacks its type or shape")
    }
    var count = try itemSize(dtype)
    guard case .tuple(let run) = pickle.nodes[Int(shape)] else { throw damaged("an array's shape that is no tuple") }
    for node in pickle.pool[run.range] {
      guard case .int(let size) = pickle.nodes[Int(node)], size >= 0 else {
        throw damaged("an array of no proper size")
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: Int(size))
      guard !overflow else { throw damaged("an array that is too large") }
      count = product
    }
    if let alignment = fields["numpy_array_alignment_bytes"], case .int = pickle.nodes[Int(alignment)] {
      _ = try span(try number(UInt8.self))
    }
    pickle.objects[object].items = [try make(.bytes(try span(count)))]
  }

  /// The entries of a dict that have short text keys.
  private func dictFields(_ node: Int32) throws(CheckpointError) -> [String: Int32] {
    guard case .dict(let index) = pickle.nodes[Int(node)] else { throw damaged("joblib's description is no dict") }
    let items = pickle.containers[Int(index)]
    var result: [String: Int32] = [:]
    for place in stride(from: 0, to: min(items.count, 64) - 1, by: 2) {
      guard case .string(let span) = pickle.nodes[Int(items[place])], span.count < 64 else { continue }
      result[String(decoding: bytes[span.range], as: UTF8.self)] = items[place + 1]
    }
    return result
  }

  /// Bytes of one element of `numpy.dtype(name, ...)`.
  private func itemSize(_ node: Int32) throws(CheckpointError) -> Int {
    guard case .object(let index) = pickle.nodes[Int(node)],
      case .tuple(let run) = pickle.nodes[Int(pickle.objects[Int(index)].arguments)], run.count > 0,
      case .string(let span) = pickle.nodes[Int(pickle.pool[Int(run.start)])], span.count < 64,
      let type = NumPyType(name: String(decoding: bytes[span.range], as: UTF8.self), order: UInt8(ascii: "|"))
    else { throw damaged("joblib's description of an array has no proper type") }
    guard type.kind != UInt8(ascii: "O") else {
      throw CheckpointError(
        .unsupported, "a joblib file with an array of Python objects, which is a pickle within the pickle",
        advice: "In Python, load it with joblib and save its content with torch.save.")
    }
    // Text is counted in characters of four bytes.
    let width = type.kind == UInt8(ascii: "U") ? 4 : 1
    let isTime = type.kind == UInt8(ascii: "M") || type.kind == UInt8(ascii: "m")
    return isTime && type.size == 0 ? 8 : type.size * width
  }
}
