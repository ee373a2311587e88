public import Checkpoint

/// Modules one after the other: `torch.nn.Sequential`. Names are numbers: `0.weight`.
public class Sequential: Module {
  public final let layers: [Module]
  private let plan: [Stage]

  public init(_ layers: [Module]) {
    self.layers = layers
    plan = Stage.plan(layers)
    super.init()
  }

  public convenience init(_ layers: Module...) { self.init(layers) }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    var value = input
    for stage in plan { value = try stage.forward(value) }
    return value
  }

  override final func members() -> Members { Members(numbered: layers) }
}

/// `input + layers(input)`: a residual connection. Names are numbers, as in `Sequential`.
public final class Residual: Sequential {
  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    let inner = try super.forward(input)
    guard inner.shape == input.shape else {
      throw CheckpointError(
        .usage, "Residual: the layers turn an input of shape \(input.shape) into \(inner.shape), which cannot be added")
    }
    return try input + inner
  }
}

/// One or more layers that are computed together, which saves their values' way through memory. What comes out is what
/// the layers give one by one.
private enum Stage {
  case one(Module)
  case linear(Linear, Activation)
  case convolution(Conv2d, relu: Bool, pool: MaxPool2d?)

  func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    switch self {
    case .one(let module): try module.forward(input)
    case .linear(let layer, let activation):
      try Training.linear(input, layer.weight, layer.bias, activation)
    case .convolution(let layer, let relu, let pool): try layer.forward(input, relu: relu, pool: pool)
    }
  }

  static func plan(_ layers: [Module]) -> [Stage] {
    var plan: [Stage] = []
    var at = 0
    while at < layers.count {
      let next = at + 1 < layers.count ? layers[at + 1] : nil
      if let layer = layers[at] as? Linear, let activation = next.flatMap(Self.activation) {
        plan.append(.linear(layer, activation))
        at += 2
      } else if let layer = layers[at] as? Conv2d {
        let relu = next is ReLU
        at += relu ? 2 : 1
        let pool = at < layers.count ? layers[at] as? MaxPool2d : nil
        at += pool == nil ? 0 : 1
        plan.append(.convolution(layer, relu: relu, pool: pool))
      } else {
        plan.append(.one(layers[at]))
        at += 1
      }
    }
    return plan
  }

  private static func activation(_ module: Module) -> Activation? {
    switch module {
    case is ReLU: .relu
    case let gelu as GELU: gelu.approximate == .none ? .gelu : .geluTanh
    case is Tanh: .tanh
    case is Sigmoid: .sigmoid
    default: nil
    }
  }
}
