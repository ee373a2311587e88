/// How a model's parameters fit the positions of an optimizer's groups.
struct NameMatch {
  /// The stronger evidence first.
  enum Rule: Int {
    /// The model's order is the order of the concatenated groups.
    case inOrder
    /// Each group has its parameters in the model's order, and there is one way to deal them out.
    case dealt
    /// The same with the model's names sorted.
    case dealtSorted
    /// Only shapes that occur once.
    case shapesOnly
  }

  let rule: Rule
  let names: [String?]
  let model: NamedShapes
  let evidence: String
  var warnings: [String] = []
  /// How alike the names of the model and the optimizer are.
  var similarity = 0
  private let unknown: Int

  /// The first rule that fits, or nil when none does. Both have the same number of parameters.
  init?(_ groups: [[[Int]?]], _ model: NamedShapes) {
    guard var match = NameMatch(bestOf: groups, model) else { return nil }
    if model.mayBeSorted, match.rule != .shapesOnly,
      Self.byShape(groups.flatMap { $0 }, model)?.contains(nil) ?? true
    {
      match.warnings.append(
        "the names of '\(model.path.text)' are sorted; if its parameters have another order, as after a safetensors "
          + "file, the names of the optimizer's parameters are wrong")
    }
    self = match
  }

  private init?(bestOf groups: [[[Int]?]], _ model: NamedShapes) {
    let flat = groups.flatMap { $0 }
    let open = flat.count { $0 == nil }
    let place = model.path.steps.isEmpty ? "the model" : "'\(model.path.text)'"
    if model.isSorted {
      guard open == 0, let found = Self.byShape(flat, model) else { return nil }
      self.init(.shapesOnly, found, model, "those of \(place) (found by shapes that occur once: its names are sorted)")
      return
    }
    // With several groups and shapes unknown, the order alone would be a guess.
    let inOrder = Self.fits(flat, model.shapes)
    let oneGroup = groups.count(where: { !$0.isEmpty }) <= 1
    if inOrder, oneGroup || open == 0 {
      let evidence =
        open == flat.count
        ? "those of \(place) (as many parameters; no state yet whose shapes could be compared)"
        : "those of \(place) (same shapes, same order" + (open > 0 ? "; \(open) have no state yet)" : ")")
      self.init(.inOrder, model.names, model, evidence)
      if !oneGroup, ShapeDeal(groups, model.shapes).solve()?.contains(nil) ?? true {
        warnings = [
          "the names of the optimizer's parameters follow the order of \(place); with \(groups.count) groups their "
            + "shapes alone would allow another order"
        ]
      }
      return
    }
    let sorted = model.sorted
    if let dealt = ShapeDeal(groups, model.shapes).solve() {
      self.init(
        .dealt, dealt.map { $0.map { model.names[$0] } }, model, "those of \(place) (found by shape and order)")
    } else if let dealt = ShapeDeal(groups, sorted.shapes).solve() {
      self.init(
        .dealtSorted, dealt.map { $0.map { sorted.names[$0] } }, model,
        "those of \(place) (found by shape, in alphabetical order)")
    } else if open == 0, let found = Self.byShape(flat, model) {
      self.init(.shapesOnly, found, model, "those of \(place) (found by shapes that occur once)")
    } else {
      return nil
    }
  }

  private init(_ rule: Rule, _ names: [String?], _ model: NamedShapes, _ evidence: String) {
    self.rule = rule
    self.names = names
    self.model = model
    self.evidence = evidence
    unknown = names.count { $0 == nil }
  }

  func isWorse(than other: NameMatch) -> Bool {
    (unknown, rule.rawValue, -similarity) > (other.unknown, other.rule.rawValue, -other.similarity)
  }

  private static func fits(_ positions: [[Int]?], _ shapes: [[Int]]) -> Bool {
    zip(positions, shapes).allSatisfy { $0 == nil || $0 == $1 }
  }

  /// The names of shapes that occur once, provided that both have the same shapes altogether.
  private static func byShape(_ positions: [[Int]?], _ model: NamedShapes) -> [String?]? {
    var owners: [[Int]: [Int]] = [:]
    for (index, shape) in model.shapes.enumerated() { owners[shape, default: []].append(index) }
    var counts: [[Int]: Int] = [:]
    for shape in positions { if let shape { counts[shape, default: 0] += 1 } }
    guard counts.count == owners.count, counts.allSatisfy({ owners[$0.key]?.count == $0.value }) else { return nil }
    return positions.map { shape in
      guard let shape, let owner = owners[shape], owner.count == 1 else { return nil }
      return model.names[owner[0]]
    }
  }
}
