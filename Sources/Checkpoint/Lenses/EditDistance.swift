/// How many bytes must be put in, taken out, changed, or swapped with the next to make one from the other (Damerau's
/// distance, restricted); anything above `limit` when more.
package func editDistance(_ a: [UInt8], _ b: [UInt8], limit: Int) -> Int {
  var (before, last, row) = ([Int](), Array(0...b.count), Array(0...b.count))
  for i in a.indices {
    row[0] = i + 1
    var smallest = row[0]
    for j in b.indices {
      var best = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
      row[j + 1] = best
      smallest = min(smallest, best)
    }
    // A swap reaches back two rows, so both must be beyond the limit.
    if smallest > limit, last.allSatisfy({ $0 > limit }) { return limit + 1 }
    (before, last, row) = (last, row, last)
  }
  return last[b.count]
}
