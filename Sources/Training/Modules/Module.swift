public import Checkpoint

/// What has parameters and computes a value from a value: `torch.nn.Module`.
///
/// A module of your own is a subclass whose properties are modules, arrays of modules, `Parameter`s and `Buffer`s. They
/// are found by looking, and their names are the properties': `let fc1 = Linear(784, 10)` gives `fc1.weight` and
/// `fc1.bias`. `Named` gives a property another name. The way back follows from the way forward.
open class Module {
  /// Whether the module is training, as `train()` and `eval()` set it: dropout and batch norm behave differently.
  public internal(set) final var training = true
  /// Where the module takes random numbers from while it computes; the shared generator where nil.
  public internal(set) final var generator: Generator?

  public init() {}

  /// Computes the module's output.
  ///
  /// - Throws: `usage` when the input does not fit; the message names the shapes.
  open func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    throw CheckpointError(.usage, "\(type(of: self)) has no forward(_:) for one input")
  }

  public final func callAsFunction(_ input: Variable) throws(CheckpointError) -> Variable { try forward(input) }

  /// The parameters, buffers and modules that lie in this module itself, in the order of its properties.
  func members() -> Members { Members(of: self) }
}

/// What a module keeps in its state beside parameters: `torch.nn.Buffer`.
public final class Buffer {
  public let value: Variable

  public init(_ value: Variable) { self.value = value }
}

/// Gives a property of a module a name of its own: `@Named("ln_1") var act = GELU()`, or, for what may throw,
/// `@Named var norm: LayerNorm` and, in the module's initialiser, `_norm = Named("ln_1", try LayerNorm(64))`.
@propertyWrapper
public struct Named<Wrapped> {
  public let name: String
  public var wrappedValue: Wrapped

  public init(wrappedValue: Wrapped, _ name: String) {
    self.name = name
    self.wrappedValue = wrappedValue
  }

  public init(_ name: String, _ value: Wrapped) {
    self.init(wrappedValue: value, name)
  }
}
