internal import Checkpoint

/// All that does not fit between a stored optimizer and this one, for one report.
struct OptimizerProblems {
  private var byKind: [(kind: Kind, items: [String])] = []

  enum Kind: String {
    case groups = "groups"
    case options = "hyper-parameters"
    case missing = "missing (a parameter here that the stored optimizer does not have)"
    case unexpected = "unexpected (stored, and not here)"
    case lost = "state lost (others have theirs; a run that never made it says so with an empty entry)"
    case partial = "state incomplete"
    case reshaped = "reshaped"
    case type = "wrong type"
  }

  var isEmpty: Bool { byKind.isEmpty }

  mutating func add(_ kind: Kind, _ item: String) {
    guard let index = byKind.firstIndex(where: { $0.kind == kind }) else {
      byKind.append((kind, [item]))
      return
    }
    byKind[index].items.append(item)
  }

  func error() -> CheckpointError {
    let lines = byKind.map { entry in
      let rest = entry.items.count > 12 ? ", and \(entry.items.count - 12) more" : ""
      return "\n  \(entry.kind.rawValue): \(entry.items.prefix(12).joined(separator: ", "))\(rest)"
    }
    return CheckpointError(
      .usage, "the stored optimizer does not fit; nothing was changed:" + lines.joined(),
      advice: "Parameters whose state may start afresh have to be named.")
  }
}
