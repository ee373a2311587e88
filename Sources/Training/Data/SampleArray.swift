import Checkpoint
import Kernels

/// One array of a set: samples of one shape along the first dimension, where they lie in the file or converted once.
///
/// Everything is looked at once, when the array is opened: no number is NaN or infinite, every one fits the type that
/// batches have, and integers' smallest and largest are known.
final class SampleArray {
  /// What an array is taken for.
  enum Role {
    /// Integers but uint8 (which pixels have) are tokens, everything else numbers.
    case inputs
    case numbers
    case labels
  }

  let count: Int
  let info: SampleInfo
  /// The file and the array's name in it, for errors.
  let place: DataPlace
  /// Elements of a sample.
  private let row: Int
  private let stored, wanted: ck_number
  private let content: Content
  private let isConverted: Bool
  private var lastShape: [Int] = []

  private enum Content {
    case source(any ByteSource)
    case storage(Storage)
  }

  /// Arrays that must be converted are kept converted up to this size; larger ones are converted batch by batch.
  private static let convertedLimit = 64 << 20

  /// - Throws: `damaged` for a number that cannot be used, naming the row; `unsupported` for complex and packed types.
  init(_ tensor: Tensor, role: Role, place: DataPlace) throws(CheckpointError) {
    self.place = place
    guard let stored = tensor.dtype.number else {
      throw place.error(.unsupported, "elements of \(tensor.dtype.rawValue), which are no plain numbers")
    }
    guard let count = tensor.shape.first else {
      throw place.error(.damaged, "a single number, where samples along the first dimension are due")
    }
    guard count > 0, tensor.count > 0 else {
      throw place.error(.damaged, "is empty: shape \(tensor.shape)", advice: "A data set needs at least one sample.")
    }
    let dtype = Self.dtype(tensor.dtype, role)
    let wanted = dtype == .float32 ? CK_F32 : CK_I64
    (self.stored, self.wanted, self.count) = (stored, wanted, count)
    row = tensor.count / count
    let size = tensor.count.multipliedReportingOverflow(by: ck_number_size(wanted))
    // Bytes become floats about as fast as floats are copied.
    let isFast = stored == wanted || stored == CK_U8 && wanted == CK_F32
    let converts = !isFast && !size.overflow && size.partialValue <= Self.convertedLimit
    // A source whose bytes are computed would compute all of them for each batch.
    let isComputed = tensor.source is any ComputedSource
    var scan = ArrayScan(from: stored, to: wanted, row: row, place: place)
    if converts || isComputed && stored == wanted {
      let storage = try Storage(byteCount: size.partialValue)
      try scan.run(tensor.source, into: storage.base)
      content = .storage(storage)
    } else if isComputed {
      let storage = try Storage(byteCount: tensor.byteCount)
      try storage.fill(from: tensor.source)
      try UnsafeRawBufferPointer(start: storage.base, count: tensor.byteCount).forEachPiece(limit: ArrayScan.piece) {
        (piece) throws(CheckpointError) in try scan.take(piece, into: nil)
      }
      content = .storage(storage)
    } else {
      try scan.run(tensor.source, into: nil)
      content = .source(tensor.source)
    }
    isConverted = converts || stored == wanted
    info = SampleInfo(shape: Array(tensor.shape.dropFirst()), dtype: dtype, range: scan.range)
  }

  /// Numbers that lie in memory already, in the type that batches have, and have been checked.
  init(_ storage: Storage, count: Int, info: SampleInfo, place: DataPlace) {
    (self.count, self.info, self.place) = (count, info, place)
    row = info.shape.reduce(1, *)
    wanted = info.dtype == .float32 ? CK_F32 : CK_I64
    stored = wanted
    content = .storage(storage)
    isConverted = true
  }

  private static func dtype(_ stored: DType, _ role: Role) -> Variable.DType {
    switch role {
    case .numbers: .float32
    case .labels: .int64
    case .inputs: stored.isFloatingPoint || stored == .uint8 || stored == .bool ? .float32 : .int64
    }
  }

  /// Samples by their numbers, one after the other.
  func gather(_ samples: [Int]) throws(CheckpointError) -> Variable {
    guard ck_first_outside(samples, samples.count, count) < 0 else {
      let wrong = samples.first { $0 < 0 || $0 >= count } ?? 0
      throw place.error(.usage, "there is no sample \(wrong); there are \(count)")
    }
    let out = try Storage(byteCount: samples.count * row * ck_number_size(wanted))
    try withContent { (bytes) throws(CheckpointError) in
      guard let base = bytes.baseAddress else { return }
      ck_gather_rows(out.base, wanted, base, isConverted ? wanted : stored, row, samples, samples.count)
    }
    if lastShape.first != samples.count { lastShape = [samples.count] + info.shape }
    return Variable(shape: lastShape, dtype: info.dtype, storage: out)
  }

  /// The number of the first sample with an integer outside `allowed`, and that integer.
  func firstOutside(_ allowed: Range<Int>, ignoring ignored: Int?) throws(CheckpointError) -> (row: Int, found: Int)? {
    guard info.dtype == .int64 else { return nil }
    for start in stride(from: 0, to: count, by: 1024) {
      let samples = Array(start..<min(start + 1024, count))
      let values = try gather(samples)
      for index in 0..<(samples.count * row) {
        let value = Int(values.storage.integers[index])
        if !allowed.contains(value), value != ignored { return (start + index / row, value) }
      }
    }
    return nil
  }

  private func withContent(
    _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    switch content {
    case .source(let source): try source.withBytes(body)
    case .storage(let storage):
      defer { withExtendedLifetime(storage) {} }
      try body(UnsafeRawBufferPointer(start: storage.base, count: storage.byteCount))
    }
  }
}

extension Storage {
  fileprivate func fill(from source: any ByteSource) throws(CheckpointError) {
    var at = 0
    try source.forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in
      guard let start = piece.baseAddress, piece.count <= byteCount - at else { return }
      (base + at).copyMemory(from: start, byteCount: piece.count)
      at += piece.count
    }
  }
}

/// Where data comes from, for errors.
struct DataPlace {
  let file: String?
  /// `array 'x'`, `line 7`.
  let place: String?

  func error(_ code: CheckpointError.Code, _ message: String, advice: String? = nil) -> CheckpointError {
    CheckpointError(code, message, file: file, place: place, advice: advice)
  }
}
