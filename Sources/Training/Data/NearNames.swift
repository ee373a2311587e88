internal import Checkpoint

/// The names that a user may have meant by `name`: those a few letters away, the nearest first, at most three.
func nearNames(to name: String, among names: some Sequence<String>) -> [String] {
  let wanted = Array(name.utf8.prefix(64)).map(lowercased)
  let limit = max(1, wanted.count / 3)
  var found: [(name: String, distance: Int)] = []
  for candidate in names {
    let distance = editDistance(wanted, Array(candidate.utf8.prefix(64)).map(lowercased), limit: limit)
    if distance <= limit { found.append((candidate, distance)) }
  }
  return found.sorted { $0.distance < $1.distance }.prefix(3).map(\.name)
}

/// What to do about a name that is not there: `Did you mean 'y'? The columns are x, y.`
func advice(for name: String, among names: [String], _ what: String) -> String {
  guard !names.isEmpty else { return "There are no \(what)." }
  let near = nearNames(to: name, among: names).map { "'\($0)'" }
  let question = near.isEmpty ? "" : "Did you mean \(near.joined(separator: " or "))? "
  let shown = names.prefix(20).joined(separator: ", ")
  let more = names.count > 20 ? ", … (\(names.count) in all)" : ""
  return "\(question)The \(what) are \(shown)\(more)."
}

private func lowercased(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
