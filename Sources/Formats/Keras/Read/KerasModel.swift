import Checkpoint

/// A model's description, from `config.json` or `model_config`: its layers in order, and its optimizer.
struct KerasModel {
  struct Layer {
    /// Where Keras 3 keeps it: `layers/dense_1`, or `layers/functional/layers/dense`.
    var path: [String]
    var className: String
    /// The layer's own name, by which Keras 1 and 2 keep it.
    var name: String
    var config: Dict
    var isTrainable: Bool
  }

  private(set) var layers: [Layer] = [] {
    didSet { if let last = layers.last { places[last.path] = layers.count - 1 } }
  }
  /// The layers' indices by their paths.
  private var places: [[String]: Int] = [:]
  /// `Adam` and its settings.
  private(set) var optimizer: (className: String, config: Dict)?

  private static let maximumDepth = 16

  init?(_ file: KerasFile) {
    guard let text = file.text(Keras.config) ?? file.text("model_config"), case .dict(let model)? = text.jsonTree
    else { return nil }
    add(model, at: [], isTrainable: true, depth: 0)
    if case .dict(let compile)? = model["compile_config"] { readOptimizer(compile["optimizer"]) }
    if case .dict(let training)? = file.text("training_config")?.jsonTree {
      readOptimizer(training["optimizer_config"])
    }
  }

  /// The innermost layer that a path leads into.
  func layer(around path: some RandomAccessCollection<String>) -> Layer? {
    var path = Array(path)
    while !path.isEmpty {
      if let index = places[path] { return layers[index] }
      path.removeLast()
    }
    return nil
  }

  private mutating func readOptimizer(_ value: Value?) {
    guard case .dict(let found)? = value, case .string(let name)? = found["class_name"] else { return }
    guard case .dict(let config)? = found["config"] else { return }
    // Mixed precision: an optimizer that scales the loss, around the one with the slots.
    if case .dict(let inner)? = config["inner_optimizer"], case .string(let name)? = inner["class_name"],
      case .dict(let config)? = inner["config"]
    {
      optimizer = (name, config)
    } else {
      optimizer = (name, config)
    }
  }

  /// The layers of a model, and of those in it.
  private mutating func add(_ model: Dict, at path: [String], isTrainable: Bool, depth: Int) {
    guard depth < Self.maximumDepth else { return }
    let items: [Value]
    switch model["config"] {
    case .dict(let config):
      guard case .sequence(_, let layers)? = config["layers"] else { return }
      items = layers
    // A Sequential of Keras 1 and 2.0.
    case .sequence(_, let layers): items = layers
    default: return
    }
    var used: [String: Int] = [:]
    for item in items {
      guard case .dict(let dict) = item, case .string(let className)? = dict["class_name"],
        case .dict(let config)? = dict["config"] ?? .dict(Dict())
      else { continue }
      let stem = Self.snakeCase(className)
      let count = used[stem, default: 0]
      used[stem] = count + 1
      let place = path + ["layers", count == 0 ? stem : "\(stem)_\(count)"]
      var trains = isTrainable
      if case .bool(false)? = config["trainable"] { trains = false }
      var name = ""
      if case .string(let own)? = config["name"] ?? dict["name"] { name = own }
      layers.append(Layer(path: place, className: className, name: name, config: config, isTrainable: trains))
      add(dict, at: place, isTrainable: trains, depth: depth + 1)
    }
  }

  /// `BatchNormalization` is `batch_normalization`, `Conv2D` is `conv2d`, `ReLU` is `re_lu`, as Keras' `to_snake_case`
  /// has it: a word begins at a capital that follows a small letter, or is followed by one.
  static func snakeCase(_ name: String) -> String {
    let letters = name.utf8.filter(\.isInWord)
    var out: [UInt8] = []
    for (index, letter) in letters.enumerated() {
      let startsWord = index + 1 < letters.count && letters[index + 1].isLower
      if letter.isUpper, index > 0, startsWord || letters[index - 1].isLower { out.append(0x5F) }
      out.append(letter.isUpper ? letter + 32 : letter)
    }
    return String(decoding: out, as: UTF8.self)
  }
}

extension UInt8 {
  fileprivate var isUpper: Bool { (0x41...0x5A).contains(self) }
  fileprivate var isLower: Bool { (0x61...0x7A).contains(self) }
  fileprivate var isInWord: Bool { isUpper || isLower || (0x30...0x39).contains(self) || self == 0x5F || self >= 0x80 }
}
