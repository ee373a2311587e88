import Checkpoint
import Kernels

/// One pass over an array: finds what cannot be used, and converts it where that is asked for.
struct ArrayScan {
  /// The smallest and the largest integer, once the pass is over; nil for numbers.
  var range: ClosedRange<Int>? { wanted == CK_I64 && low <= high ? Int(low)...Int(high) : nil }

  private let stored, wanted: ck_number
  private let isFloat: Bool
  private let size: Int
  private let row: Int
  private let place: DataPlace
  private var element = 0
  private var low = Int64.max
  private var high = Int64.min
  private var scratch: [Int64]

  /// Bytes that are looked at in one go.
  static let piece = 1 << 16

  init(from stored: ck_number, to wanted: ck_number, row: Int, place: DataPlace) {
    (self.stored, self.wanted, self.row, self.place) = (stored, wanted, row, place)
    isFloat = stored.rawValue <= CK_F8_E8M0FNU.rawValue
    size = ck_number_size(stored)
    scratch = Array(repeating: 0, count: Self.piece / size)
  }

  /// - Parameter target: room for all elements in the wanted type, or nil where they are only to be checked.
  mutating func run(_ source: any ByteSource, into target: UnsafeMutableRawPointer?) throws(CheckpointError) {
    var failure: CheckpointError?
    // A source may give larger pieces than it was asked for.
    try source.forEachPiece(limit: 1 << 20) { (bytes) throws(CheckpointError) in
      try bytes.forEachPiece(limit: Self.piece) { (piece) throws(CheckpointError) in
        do throws(CheckpointError) { try take(piece, into: target) } catch {
          failure = error
          throw error
        }
      }
    }
    if let failure { throw failure }
  }

  mutating func take(
    _ piece: UnsafeRawBufferPointer, into target: UnsafeMutableRawPointer?
  ) throws(CheckpointError) {
    guard let base = piece.baseAddress else { return }
    let n = piece.count / size
    if isFloat, ck_all_finite(base, stored, n) == 0 { throw failure(in: base, n) }
    if let target {
      let out = target + element * ck_number_size(wanted)
      if stored == wanted {
        out.copyMemory(from: base, byteCount: n * size)
      } else {
        try convert(base, n, into: out)
      }
      note(out, n)
    } else if wanted == CK_I64 || stored != wanted && stored != CK_U8 {  // bytes all fit
      var room: [Int64] = []
      swap(&room, &scratch)
      defer { swap(&room, &scratch) }
      let lost = room.withUnsafeMutableBytes { out -> UInt64 in
        guard let start = out.baseAddress else { return 0 }
        let lost = ck_cast(base, stored, start, wanted, n)
        if lost == 0 { note(start, n) }
        return lost
      }
      if lost > 0 { throw failure(in: base, n) }
    }
    element += n
  }

  private func convert(
    _ base: UnsafeRawPointer, _ n: Int, into out: UnsafeMutableRawPointer
  ) throws(CheckpointError) {
    if ck_cast(base, stored, out, wanted, n) > 0 { throw failure(in: base, n) }
  }

  private mutating func note(_ numbers: UnsafeRawPointer, _ n: Int) {
    guard wanted == CK_I64 else { return }
    ck_int_range(numbers.assumingMemoryBound(to: Int64.self), n, &low, &high)
  }

  /// What is wrong with the first element of `n` that cannot be used.
  private func failure(in base: UnsafeRawPointer, _ n: Int) -> CheckpointError {
    for index in 0..<n {
      let item = base + index * size
      var room = 0.0
      var number = 0.0
      ck_to_double(item, stored, &number, 1)
      let isFinite = number.isFinite
      guard !isFinite || ck_cast(item, stored, &room, wanted, 1) > 0 else { continue }
      let sample = (element + index) / row
      guard isFinite else {
        return at(sample, .damaged, number.isNaN ? "not a number (NaN)" : "an infinity", advice: Self.cleaning)
      }
      let text = isFloat ? "\(number)" : Self.integer(item, stored)
      if wanted == CK_I64 { return at(sample, .damaged, "\(text), where a label (an integer) is due") }
      return at(sample, .damaged, "\(text) does not fit float32, which training computes with")
    }
    return place.error(.damaged, "a number that cannot be used")
  }

  private static let cleaning = "Leave the sample out or fill the gap before training: one NaN makes all weights NaN."

  private static func integer(_ at: UnsafeRawPointer, _ type: ck_number) -> String {
    if type == CK_U64 { return String(at.loadUnaligned(as: UInt64.self)) }
    var number = Int64(0)
    return ck_cast(at, type, &number, CK_I64, 1) == 0 ? String(number) : "a number"
  }

  private func at(
    _ sample: Int, _ code: CheckpointError.Code, _ message: String, advice: String? = nil
  ) -> CheckpointError {
    var error = place.error(code, message, advice: advice)
    error.place = (error.place.map { "\($0), " } ?? "") + "row \(sample)"
    return error
  }
}
