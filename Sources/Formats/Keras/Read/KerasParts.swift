import Checkpoint

/// The parts of layers that are made of several, each with variables of its own.
///
/// Keras writes an object's parts by the names of its attributes (`backward_layer` before `forward_layer`), and its
/// optimizers have them in the order in which the layer made them, which no file tells. It is known for some layers; of
/// others it can be told where no two parts could stand for each other.
struct KerasParts {
  private let model: KerasModel?

  init(_ model: KerasModel?) { self.model = model }

  private static let orders = [
    "bidirectional": ["forward_layer", "backward_layer"],
    "multi_head_attention": ["query_dense", "key_dense", "value_dense", "output_dense"],
  ]

  /// One group of variables.
  private struct Part {
    var rank: Int
    /// Where it is one of a list, which has its own order: the list.
    var list: [String]?
    var places: [KerasReader.Place]
  }

  /// The places with each layer's parts in the layer's order, as far as it is known; and the first layer of which it is
  /// not.
  func sorted(_ places: [KerasReader.Place]) -> (places: [KerasReader.Place], unclear: String?) {
    let owners = Set(places.map { Self.owner($0.path) })
    var order: [[String]] = []
    var members: [[String]: [KerasReader.Place]] = [:]
    for place in places {
      let owner = Self.owner(place.path)
      // What has parts of its own besides its layers is one layer with all of them.
      let count = stride(from: 0, through: owner.count, by: 2).first { owners.contains(Array(owner[..<$0])) }
      let key = Array(owner[..<(count ?? owner.count)])
      if members[key] == nil { order.append(key) }
      members[key, default: []].append(place)
    }
    var result: [KerasReader.Place] = []
    var unclear: String?
    for key in order {
      let parts = parts(members[key] ?? [], of: key)
      if unclear == nil, !Self.isClear(parts) { unclear = "/" + key.joined(separator: "/") }
      result += parts.flatMap(\.places)
    }
    return (result, unclear)
  }

  /// The layer that a variable is of: `layers/dense`, `layers/functional/layers/dense`; the model where it has no list
  /// of layers.
  private static func owner(_ path: [String]) -> [String] {
    var count = 0
    while count + 2 < path.count, path[count] == "layers" { count += 2 }
    return Array(path[..<count])
  }

  private func parts(_ places: [KerasReader.Place], of owner: [String]) -> [Part] {
    var parts: [Part] = []
    var index: [[String]: Int] = [:]
    for place in places {
      let group = Array(place.path.dropLast())
      if let known = index[group] {
        parts[known].places.append(place)
      } else {
        index[group] = parts.count
        let list = group.lastIndex(of: "cells").map { Array(group[..<$0]) }
        parts.append(Part(rank: 0, list: list, places: [place]))
      }
    }
    guard parts.count > 1 else { return parts }
    let known = Self.orders[stem(of: owner)] ?? []
    for at in parts.indices {
      let name = parts[at].places[0].path[owner.count]
      // A layer's own variables come before those of its parts.
      parts[at].rank = name == Keras.variables ? -1 : known.firstIndex(of: name) ?? known.count
    }
    return parts.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element)
  }

  private func stem(of owner: [String]) -> String {
    if let known = model?.layer(around: owner), known.path == owner { return KerasModel.snakeCase(known.className) }
    return KerasOrder.stem(owner.last ?? "")
  }

  /// Whether the parts fit in one order only. In another one some part would have to begin where another does now, and
  /// so with a variable of the same shape.
  private static func isClear(_ parts: [Part]) -> Bool {
    guard parts.count > 1 else { return true }
    for rank in Set(parts.map(\.rank)) {
      let same = parts.filter { $0.rank == rank }
      if let list = same[0].list, same.allSatisfy({ $0.list == list }) { continue }
      guard Set(same.map { $0.places[0].tensor.shape }).count == same.count else { return false }
    }
    return true
  }
}
