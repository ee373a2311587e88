internal import Kernels

/// How a product is cut: C into `down` times `across` tiles, and the sums of each into `depth` pieces.
struct Cut: Equatable {
  let down, across: Int
  private(set) var depth: Int
  /// The sizes of a tile and of a piece; the last ones may be smaller.
  let rows, columns: Int
  private(set) var length: Int

  var tiles: Int { down * across }

  /// What depends on nothing but the sizes of the product.
  init(_ m: Int, _ n: Int, _ k: Int) {
    // Measured: tiles of 192 x 384 cost the library 1 to 3 % against the whole. Where these would be too few to share,
    // tiles get smaller while they have 128 rows or columns; below, packing costs more than a tenth. Then sums are cut,
    // where they are long.
    let wanted = min(8, m * n * k / (4 << 20))
    var (down, across) = ((m + 191) / 192, (n + 383) / 384)
    if down * across < wanted {
      (down, across) = (1, 1)
      while down * across < wanted, max(m / down, n / across) >= 256 {
        if n / across >= m / down { across *= 2 } else { down *= 2 }
      }
    }
    rows = Self.size(m, down, 8)
    columns = Self.size(n, across, 16)
    self.down = (m + rows - 1) / rows
    self.across = (n + columns - 1) / columns
    let pieces = max(1, min(wanted / (self.down * self.across), k / 1024))
    length = Self.size(k, pieces, 16)
    depth = max(1, (k + length - 1) / max(1, length))
  }

  /// Gives up cutting the sums, which are `k` long.
  mutating func keepSumsWhole(_ k: Int) { (depth, length) = (1, k) }

  /// `total` in `parts`, each a multiple of `unit`.
  private static func size(_ total: Int, _ parts: Int, _ unit: Int) -> Int {
    let size = (total + parts - 1) / parts
    return (size + unit - 1) / unit * unit
  }
}

/// A product that is computed in parts.
struct Parts {
  private let product: Product
  private let epilogue: Epilogue
  private let cut: Cut
  /// The second and later pieces of sums, each a matrix of `m x n`; nil where there are none.
  private let pieces: UnsafeMutablePointer<Float>?

  init(_ product: Product, _ epilogue: Epilogue, _ cut: Cut, _ pieces: UnsafeMutablePointer<Float>?) {
    self.product = product
    self.epilogue = epilogue
    self.cut = cut
    self.pieces = pieces
  }

  /// The tile with its epilogue, or a piece of its sums.
  func compute(_ index: Int) {
    let (piece, number) = index.quotientAndRemainder(dividingBy: cut.tiles)
    let tile = self.tile(number)
    var part = product.tile(tile.row, tile.rows, tile.column, tile.columns)
    if cut.depth > 1 {
      part = part.piece(piece * cut.length, min(cut.length, product.k - piece * cut.length))
      if piece > 0, let pieces {
        part.c = pieces + ((piece - 1) * product.m + tile.row) * product.n + tile.column
        part.ldc = product.n
        part.beta = 0
      }
    }
    ActiveBackend.sgemm(part)
    if cut.depth == 1 { finish(product, epilogue, tile.row, tile.rows, tile.column, tile.columns) }
  }

  /// Adds the pieces of a tile to the first one, then the epilogue.
  func add(_ number: Int) {
    let tile = self.tile(number)
    if let pieces {
      for row in tile.row..<(tile.row + tile.rows) {
        let sums = product.c + (row * product.ldc + tile.column)
        for piece in 1..<cut.depth {
          ck_accumulate(sums, pieces + (((piece - 1) * product.m + row) * product.n + tile.column), tile.columns)
        }
      }
    }
    finish(product, epilogue, tile.row, tile.rows, tile.column, tile.columns)
  }

  private func tile(_ number: Int) -> (row: Int, rows: Int, column: Int, columns: Int) {
    let (row, column) = (number / cut.across * cut.rows, number % cut.across * cut.columns)
    return (row, min(cut.rows, product.m - row), column, min(cut.columns, product.n - column))
  }
}
