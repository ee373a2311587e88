internal import CHDF5

/// The libhdf5 error stack of this thread, taken after a failed call and before any other one.
struct ErrorStack {
  private(set) var frames: [Frame] = []

  struct Frame {
    var minor: ckpt_minor
    var text: String
  }

  /// Reads the stack, then empties it: a stack left on a thread that ends upsets the library's own clean-up.
  static func take() -> ErrorStack {
    var stack = ErrorStack()
    _ = withUnsafeMutablePointer(to: &stack) { pointer in
      H5Ewalk2(ckpt_default_stack(), H5E_WALK_DOWNWARD, appendFrame, pointer)
    }
    H5Eclear2(ckpt_default_stack())
    return stack
  }

  fileprivate mutating func append(_ frame: Frame) {
    frames.append(frame)
  }

  /// The outermost and the innermost message: what was asked for, and what stood in the way.
  var reason: String {
    guard let outer = frames.first, let inner = frames.last else { return "the HDF5 library gave no reason" }
    return frames.count == 1 || outer.text == inner.text ? inner.text : "\(outer.text): \(inner.text)"
  }

  var kind: HDF5Error.Kind {
    if let number = systemErrorNumber { return .init(systemError: number) }
    // The innermost frame that says anything specific is the cause.
    for frame in frames.reversed() {
      if let kind = HDF5Error.Kind(minor: frame.minor) { return kind }
    }
    return .other
  }

  /// libhdf5 hands on the operating system's error only inside a message: "... errno = 28, ...".
  private var systemErrorNumber: Int32? {
    for frame in frames.reversed() {
      if let number = systemError(in: frame.text) { return number }
    }
    return nil
  }
}

/// The number after "errno = " in a message of libhdf5. The last one counts, since a file name stands before it.
func systemError(in text: String) -> Int32? {
  let mark = Array("errno = ".utf8)
  let bytes = Array(text.utf8)
  guard bytes.count > mark.count else { return nil }
  for start in (0...(bytes.count - mark.count)).reversed() where bytes[start...].starts(with: mark) {
    let digits = bytes[(start + mark.count)...].prefix { (0x30...0x39).contains($0) }
    guard let number = Int32(String(decoding: digits, as: UTF8.self)) else { continue }
    return number == 0 ? nil : number
  }
  return nil
}

extension HDF5Error.Kind {
  fileprivate init?(minor: ckpt_minor) {
    switch minor {
    case CKPT_MINOR_NOT_FOUND: self = .notFound
    case CKPT_MINOR_NOT_HDF5: self = .notHDF5
    case CKPT_MINOR_TRUNCATED: self = .truncated
    case CKPT_MINOR_EXISTS: self = .exists
    case CKPT_MINOR_UNSUPPORTED: self = .unsupported
    case CKPT_MINOR_INPUT_OUTPUT: self = .inputOutput
    case CKPT_MINOR_DAMAGED: self = .damaged
    default: return nil
    }
  }
}

private let appendFrame: H5E_walk2_t = { _, record, context in
  guard let record, let context else { return 0 }
  let text = record.pointee.desc.map { String(cString: $0) } ?? ""
  context.assumingMemoryBound(to: ErrorStack.self).pointee
    .append(.init(minor: ckpt_classify_minor(record.pointee.min_num), text: text))
  return 0
}
