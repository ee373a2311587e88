import Checkpoint

/// The trainable variables of a Keras 3 model in the model's order, which the file does not tell: it is guessed from the
/// model's description, or from where in the file the variables are, and held against the shapes of the optimizer's.
struct KerasVariables {
  private let orders: [[KerasReader.Place]]
  /// A layer whose parts may come in several orders: nothing is guessed then.
  let unclear: String?

  init(_ file: KerasFile, _ model: KerasModel?) {
    let own = file.places.filter { $0.path.first != "optimizer" && $0.path.dropLast().last == Keras.variables }
    let sizes = Dictionary(own.map { ($0.path.dropLast(), 1) }, uniquingKeysWith: +)
    var trainable = own.filter { Self.mayTrain($0, model, count: sizes[$0.path.dropLast()] ?? 0) }
    (trainable, unclear) = KerasParts(model).sorted(trainable)
    guard unclear == nil else {
      orders = []
      return
    }
    var orders: [[KerasReader.Place]] = []
    if let model { orders.append(Self.inOrder(trainable, of: model)) }
    // Keras writes the layers one after the other. Names that count up in that order confirm that it is the model's.
    if Self.countsUp(trainable) { orders.append(trainable) }
    self.orders = orders
  }

  /// The variables' paths, one for each shape; nil where no order fits.
  func names(fitting shapes: [[Int]]) -> [String]? {
    for order in orders where order.map(\.tensor.shape) == shapes {
      return order.map { $0.path.joined(separator: ".") }
    }
    // Some do not train, though nothing says so: what is left has to fit in one way only.
    let found = orders.compactMap { Self.onlyChoice($0, shapes) }
    return found.first.map { $0.map { $0.path.joined(separator: ".") } }
  }

  /// - Parameter count: how many variables are in the same group.
  private static func mayTrain(_ place: KerasReader.Place, _ model: KerasModel?, count: Int) -> Bool {
    guard place.tensor.dtype.isFloatingPoint, !place.path.contains("seed_generator") else { return false }
    let layer = place.path.dropLast(2)
    if let known = model?.layer(around: layer), !known.isTrainable { return false }
    guard let name = layer.last, let index = Int(place.path.last ?? "") else { return false }
    let stem = KerasOrder.stem(name)
    if stem == "normalization" { return false }
    guard stem == "batch_normalization" else { return true }
    // The last two are the moving mean and variance.
    return index < count - 2
  }

  /// Variables in the order in which the model has its layers: as its description says, else as they lie in the file.
  static func inModelsOrder(_ places: [KerasReader.Place], _ model: KerasModel?) -> [KerasReader.Place] {
    let places = KerasParts(model).sorted(places).places
    if let model { return inOrder(places, of: model) }
    return places
  }

  private static func inOrder(_ places: [KerasReader.Place], of model: KerasModel) -> [KerasReader.Place] {
    var ranks: [[String]: Int] = [:]
    for (rank, layer) in model.layers.enumerated() where ranks[layer.path] == nil { ranks[layer.path] = rank }
    let keys = places.map { place in
      (place.path.indices.reversed().lazy.compactMap { ranks[Array(place.path[...$0])] }.first ?? .max, place)
    }
    return keys.enumerated().sorted { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }.map(\.element.1)
  }

  /// Whether names of one kind come in the order of their numbers: `dense`, `dense_1`, ….
  private static func countsUp(_ places: [KerasReader.Place]) -> Bool {
    var last: [[String]: String] = [:]
    for place in places {
      for depth in place.path.indices {
        let key = place.path[..<depth] + [KerasOrder.stem(place.path[depth])]
        let name = place.path[depth]
        if let before = last[Array(key)], before != name, !KerasOrder.precedes(before, name) { return false }
        last[Array(key)] = name
      }
    }
    return true
  }

  /// The places that have the shapes in order, where others are left out and only one choice of them fits.
  private static func onlyChoice(_ places: [KerasReader.Place], _ shapes: [[Int]]) -> [KerasReader.Place]? {
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
}
