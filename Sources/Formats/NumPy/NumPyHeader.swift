import Checkpoint

/// What an `.npy` file says before its data (NEP 1 and `numpy.lib.format`): magic, version, and a Python dictionary of
/// three entries as text.
struct NumPyHeader {
  let element: NumPyElement
  let isFortran: Bool
  let shape: [Int]
  /// Where the data begins.
  let dataOffset: Int

  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// Longer headers have the fields of structured types, which no tensor holds.
  static let maximumLength = 0xFFFF

  /// How long a header of at most `maximumLength` is, by its own first 12 bytes.
  static func length(_ start: [UInt8]) -> Int {
    guard start.starts(with: magic), start.count >= 12 else { return 12 }
    let low = Int(start[8]) | Int(start[9]) << 8
    return start[6] == 1 ? 10 + low : 12 + min(low | Int(start[10]) << 16, maximumLength)
  }

  /// - Parameter bytes: the beginning of the file: all of it, or at least the header.
  /// - Throws: `damaged`, or `unsupported` for a version, a type or an order that no tensor has.
  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard bytes.starts(with: Self.magic) else {
      throw CheckpointError(.damaged, "does not start with NumPy's magic (93 4e 55 4d 50 59)")
    }
    var cursor = try ByteCursor(bytes, at: Self.magic.count, what: "the NumPy header")
    let major = try cursor.small(UInt8.self)
    let minor = try cursor.small(UInt8.self)
    guard (1...3).contains(major), minor == 0 else {
      throw CheckpointError(.unsupported, "NumPy format version \(major).\(minor); 1.0, 2.0 and 3.0 are known")
    }
    let length = try major == 1 ? cursor.small(UInt16.self) : cursor.small(UInt32.self)
    guard length <= Self.maximumLength else {
      throw CheckpointError(.unsupported, "a NumPy header of \(length) bytes; at most \(Self.maximumLength) are taken")
    }
    let text = try cursor.slice(length)
    dataOffset = cursor.offset
    var entries = NumPyHeaderText(text)
    do throws(CheckpointError) {
      try entries.read()
      guard let descr = entries.descr, let fortran = entries.fortran, let shape = entries.shape else {
        throw CheckpointError(.damaged, "the NumPy header lacks one of 'descr', 'fortran_order' and 'shape'")
      }
      element = try NumPyElement(descr)
      isFortran = fortran
      self.shape = shape
    } catch {
      throw error.at("the NumPy header")
    }
    guard shape.count <= 64 else { throw CheckpointError(.unsupported, "\(shape.count) dimensions; at most 64") }
  }

  /// Where in the file the array's bytes lie, which must be there.
  ///
  /// - Throws: `damaged`; `unsupported` where no tensor holds the array.
  func dataRange(fileSize: Int) throws(CheckpointError) -> Range<Int> {
    let (type, dtype) = try element.tensorType()
    guard let count = dtype.byteCount(of: shape) else {
      throw CheckpointError(.damaged, "shape \(shape) of \(type.text) is too large")
    }
    guard count <= fileSize - dataOffset else {
      throw CheckpointError(
        .damaged, "shape \(shape) of \(type.text) takes \(count) bytes; \(fileSize - dataOffset) follow the header",
        advice: "The file may have been cut short; compare its size with the original's.")
    }
    return dataOffset..<(dataOffset + count)
  }

  /// The array as a tensor: row-major and little-endian, whatever the file has.
  ///
  /// - Parameter data: the array's bytes as they lie in the file.
  func tensor(_ data: any ByteSource) throws(CheckpointError) -> Tensor {
    let (type, dtype) = try element.tensorType()
    let source = try type.source(data, dtype, shape, fortran: isFortran)
    return try Tensor(dtype: dtype, shape: shape, source: source)
  }
}

extension NumPyType {
  /// Bytes of an array of this type in row-major order, little-endian.
  func source(
    _ data: any ByteSource, _ dtype: DType, _ shape: [Int], fortran: Bool
  ) throws(CheckpointError) -> any ByteSource {
    let swapped = isBigEndian && dtype.wordSize > 1
    // With one long dimension both orders are the same.
    let fortran = fortran && shape.count { $0 != 1 } > 1
    guard swapped || fortran, data.byteCount > 0 else { return data }
    var strides = Array(repeating: 1, count: shape.count)
    let order = fortran ? Array(shape.indices) : Array(shape.indices.reversed())
    var step = 1
    for index in order {
      strides[index] = step
      step *= shape[index]
    }
    return try StridedSource(
      data, dtype: dtype, offset: 0, shape: shape, strides: strides, fixes: StridedSource.Fixes(swapped: swapped))
  }
}
