internal import CHDF5

/// The extent of a dataset or an attribute.
public enum Shape: Equatable, Hashable, Sendable {
  /// No elements at all, and no extent.
  case null
  /// One element, no dimensions.
  case scalar
  /// Up to 32 dimensions, outermost first; each may be zero.
  case simple([Int])

  /// Number of elements; nil when the product does not fit an `Int`.
  public var elementCount: Int? {
    switch self {
    case .null: 0
    case .scalar: 1
    case .simple(let dimensions): checkedProduct(dimensions)
    }
  }

  /// The dimensions; empty for a scalar and for the null shape.
  public var dimensions: [Int] {
    if case .simple(let dimensions) = self { dimensions } else { [] }
  }

  /// Bytes of `elementCount` elements of that size; nil on overflow.
  public func byteCount(elementBytes: Int) -> Int? {
    guard let elementCount else { return nil }
    return checkedProduct([elementCount, elementBytes])
  }
}

/// The product of factors that are not negative; nil on overflow. A zero anywhere makes it zero.
func checkedProduct(_ factors: [Int]) -> Int? {
  if factors.contains(0) { return 0 }
  var product = 1
  for factor in factors {
    let (next, overflow) = product.multipliedReportingOverflow(by: factor)
    guard !overflow, next >= 0 else { return nil }
    product = next
  }
  return product
}

extension Call {
  /// A new dataspace of that shape, for the caller to close.
  func makeSpace(_ shape: Shape) throws(HDF5Error) -> hid_t {
    switch shape {
    case .null: return try id(H5Screate(H5S_NULL))
    case .scalar: return try id(H5Screate(H5S_SCALAR))
    case .simple(let dimensions):
      guard (1...32).contains(dimensions.count), dimensions.allSatisfy({ $0 >= 0 }) else {
        throw error(.other, "a shape has 1 to 32 dimensions, none negative; this one is \(dimensions)")
      }
      return try id(H5Screate_simple(Int32(dimensions.count), dimensions.map { hsize_t($0) }, nil))
    }
  }

  func shape(ofSpace space: hid_t) throws(HDF5Error) -> Shape {
    switch H5Sget_simple_extent_type(space) {
    case H5S_NULL: return .null
    case H5S_SCALAR: return .scalar
    case H5S_SIMPLE: return .simple(try dimensions(ofSpace: space))
    default: throw failure()
    }
  }

  private func dimensions(ofSpace space: hid_t) throws(HDF5Error) -> [Int] {
    let rank = H5Sget_simple_extent_ndims(space)
    guard rank >= 0 else { throw failure() }
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    try check(H5Sget_simple_extent_dims(space, &extents, nil))
    var dimensions: [Int] = []
    for extent in extents {
      guard let dimension = Int(exactly: extent) else {
        throw error(.damaged, "a dimension of \(extent) elements cannot be")
      }
      dimensions.append(dimension)
    }
    return dimensions
  }
}
