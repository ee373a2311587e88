import Checkpoint

/// The trainable variables of a Keras 3 model in the model's order, which the file does not tell: it is taken from the
/// model's description, or put together from what names, places and shapes say, and always held against the shapes of
/// the optimizer's variables. Where several orders would fit, there is none.
struct KerasVariables {
  /// A layer's variables, which follow each other; a layer of layers has several groups of them.
  private struct Unit {
    let path: [String]
    var groups: [[KerasReader.Place]]
    /// Where the first of it is among the file's variables.
    let position: Int

    /// Its variables in the order in which their shapes come next; nil where they do not.
    func taken(by shapes: ArraySlice<[Int]>) -> [KerasReader.Place]? {
      var rest = groups
      var found: [KerasReader.Place] = []
      while !rest.isEmpty {
        let next = shapes.dropFirst(found.count)
        guard let index = rest.firstIndex(where: { next.starts(with: $0.map(\.tensor.shape)) }) else { return nil }
        found += rest.remove(at: index)
      }
      return found
    }
  }

  /// Nil where a layer of layers has two whose variables only their order tells apart.
  private let units: [Unit]?
  private let model: KerasModel?

  init(_ file: KerasFile, _ model: KerasModel?) {
    self.model = model
    let own = file.places.filter { $0.path.first != "optimizer" && $0.path.dropLast().last == Keras.variables }
    var counts: [[String]: Int] = [:]
    for place in own { counts[Array(place.path.dropLast()), default: 0] += 1 }
    let frozen = Set(model?.layers.filter { !$0.isTrainable }.map(\.path) ?? [])
    units = Self.units(own.filter { Self.mayTrain($0, frozen, counts[Array($0.path.dropLast())] ?? 0) })
  }

  /// The variables' paths, one for each shape; nil where no order fits, or more than one.
  func names(fitting shapes: [[Int]]) -> [String]? {
    guard let units else { return nil }
    let found = described(units, shapes) ?? merged(units, shapes) ?? onlyChoice(units, shapes)
    return found.map { $0.map { $0.path.joined(separator: ".") } }
  }

  // MARK: - Orders

  private func described(_ units: [Unit], _ shapes: [[Int]]) -> [KerasReader.Place]? {
    guard let model else { return nil }
    var found: [KerasReader.Place] = []
    for unit in Self.sorted(units, model, \.path) {
      guard let taken = unit.taken(by: shapes[min(found.count, shapes.count)...]) else { return nil }
      found += taken
    }
    return found.count == shapes.count ? found : nil
  }

  /// Layers of one kind come in the order of their numbers. Which kind comes next, the shapes tell; where they do not,
  /// the places in the file, which Keras writes layer by layer.
  private func merged(_ units: [Unit], _ shapes: [[Int]]) -> [KerasReader.Place]? {
    var kinds: [[String]: [Unit]] = [:]
    for unit in units { kinds[unit.path.map(KerasOrder.stem), default: []].append(unit) }
    var queues = kinds.values.map { queue in
      queue.sorted { Self.precedes($0.path, $1.path) }[...]
    }
    var found: [KerasReader.Place] = []
    var last = -1
    while found.count < shapes.count {
      let rest = shapes[found.count...]
      let heads = queues.indices.compactMap { index in
        queues[index].first.flatMap { unit in unit.taken(by: rest).map { (index, unit.position, $0) } }
      }
      let next = heads.filter { $0.1 > last }.min { $0.1 < $1.1 } ?? heads.min { $0.1 < $1.1 }
      guard let (index, position, taken) = next, !taken.isEmpty else { return nil }
      queues[index].removeFirst()
      found += taken
      last = position
    }
    return found.count == shapes.count && queues.allSatisfy(\.isEmpty) ? found : nil
  }

  /// Some do not train, though nothing says so: what is left has to fit in one way only.
  private func onlyChoice(_ units: [Unit], _ shapes: [[Int]]) -> [KerasReader.Place]? {
    guard units.allSatisfy({ $0.groups.count == 1 }) else { return nil }
    let sorted = model.map { Self.sorted(units, $0, \.path) } ?? units
    let places = sorted.flatMap { $0.groups[0] }
    guard shapes.count < places.count else { return nil }
    var early: [Int] = []
    for (index, place) in places.enumerated() where early.count < shapes.count {
      if place.tensor.shape == shapes[early.count] { early.append(index) }
    }
    var late: [Int] = []
    for (index, place) in places.enumerated().reversed() where late.count < shapes.count {
      if place.tensor.shape == shapes[shapes.count - 1 - late.count] { late.append(index) }
    }
    return early.count == shapes.count && early == late.reversed() ? early.map { places[$0] } : nil
  }

  /// Variables in the order in which the model has its layers: as its description says, else as they lie in the file.
  static func inModelsOrder(_ places: [KerasReader.Place], _ model: KerasModel?) -> [KerasReader.Place] {
    model.map { sorted(places, $0, \.path) } ?? places
  }

  private static func sorted<Item>(_ items: [Item], _ model: KerasModel, _ path: (Item) -> [String]) -> [Item] {
    var ranks: [[String]: Int] = [:]
    for (rank, layer) in model.layers.enumerated() where ranks[layer.path] == nil { ranks[layer.path] = rank }
    let keys = items.map { item -> Int in
      let path = path(item)
      return path.indices.reversed().lazy.compactMap { ranks[Array(path[...$0])] }.first ?? .max
    }
    return items.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.map { items[$0] }
  }

  private static func precedes(_ a: [String], _ b: [String]) -> Bool {
    for (x, y) in zip(a, b) where !x.hasSameBytes(as: y) { return KerasOrder.precedes(x, y) }
    return a.count < b.count
  }

  // MARK: - Units

  /// Parts of layers whose order Keras' classes tell; files have them in that of their names.
  private static let parts = [
    "forward_layer": 0, "backward_layer": 1, "query_dense": 0, "key_dense": 1, "value_dense": 2, "output_dense": 3,
  ]

  private static func units(_ places: [KerasReader.Place]) -> [Unit]? {
    var order: [[String]] = []
    var groups: [[String]: [KerasReader.Place]] = [:]
    for place in places {
      let key = Array(place.path.dropLast(2))
      if groups[key] == nil { order.append(key) }
      groups[key, default: []].append(place)
    }
    var units: [[String]: Unit] = [:]
    var known: [[String]] = []
    for (position, key) in order.enumerated() {
      // Below `layers` are layers by class and number; whatever lies below such a one, or beside, is an attribute.
      let container = key.lastIndex { $0 == "layers" || $0 == "_layer_checkpoint_dependencies" }
      let path = container.map { Array(key[...min($0 + 1, key.count - 1)]) } ?? []
      if units[path] == nil {
        known.append(path)
        units[path] = Unit(path: path, groups: [], position: position)
      }
      units[path]?.groups.append(groups[key] ?? [])
    }
    var result: [Unit] = []
    for path in known {
      guard var unit = units[path] else { continue }
      guard sortParts(&unit) else { return nil }
      result.append(unit)
    }
    return result
  }

  /// False where only a guess could tell the order of a layer's parts.
  private static func sortParts(_ unit: inout Unit) -> Bool {
    guard unit.groups.count > 1 else { return true }
    let ranks = unit.groups.map { group in
      group[0].path.dropFirst(unit.path.count).lazy.compactMap { parts[$0] }.first
    }
    let sure = ranks.compactMap { $0 }
    if sure.count == ranks.count, Set(sure).count == sure.count {
      unit.groups = sure.indices.sorted { sure[$0] < sure[$1] }.map { unit.groups[$0] }
      return true
    }
    // A list has an order of its own, in which the file has it.
    let lists = Set(unit.groups.map { list(of: $0[0].path) })
    if lists.count == 1, lists.first != .some(nil) { return true }
    return Set(unit.groups.map { $0.map(\.tensor.shape) }).count == unit.groups.count
  }

  /// The list of cells that a variable lies in, where it does.
  private static func list(of path: [String]) -> [String]? {
    path.lastIndex(of: "cells").map { Array(path[...$0]) }
  }

  /// - Parameters:
  ///   - frozen: layers that the model's description says do not train.
  ///   - count: how many variables lie in the same group.
  private static func mayTrain(_ place: KerasReader.Place, _ frozen: Set<[String]>, _ count: Int) -> Bool {
    guard place.tensor.dtype.isFloatingPoint, !place.path.contains("seed_generator") else { return false }
    let layer = Array(place.path.dropLast(2))
    guard frozen.isEmpty || !layer.indices.contains(where: { frozen.contains(Array(layer[...$0])) }) else {
      return false
    }
    guard let index = Int(place.path.last ?? "") else { return false }
    switch layer.last.map(KerasOrder.stem) {
    case "normalization": return false
    // The last two are the moving mean and variance.
    case "batch_normalization": return index < count - 2
    default: return true
    }
  }
}
