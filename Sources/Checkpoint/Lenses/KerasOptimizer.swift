/// An optimizer as Keras keeps it: variables by number or by name, in groups of its own. A view of a dictionary of the
/// tree, which stays as the file has it.
///
/// Keras' files do not say which variable is what of which parameter. Whoever read the file has told it in the
/// dictionary's attribute `keras_optimizer`: `slots`, a text of lines with a tensor's path in the dictionary, joined
/// with slashes, the slot in PyTorch's words (`exp_avg`), and the parameter, parted by tabs; and `options`, the
/// hyper-parameters that are known, in PyTorch's words too. The lines of `step` and `lr` name no parameter.
public struct KerasOptimizer: Sendable {
  /// One tensor that is kept for a parameter.
  public struct Slot: Sendable {
    /// In PyTorch's words: `exp_avg`.
    public let name: String
    public let parameter: String
    public let tensor: Tensor
  }

  /// The name of the dictionary's attribute.
  public static let attribute = "keras_optimizer"

  /// In the lines' order.
  public let slots: [Slot]
  /// The same as PyTorch would have it, the parameters by their names.
  public let state: OptimizerState
  private let index: [ObjectIdentifier: Int]

  /// The lens on a value, or nil where it is no such dictionary.
  public init?(_ value: Value) {
    guard case .dict(let dict) = value,
      case .dict(let told)? = dict.attributes.first(where: { $0.name.hasSameBytes(as: Self.attribute) })?.value,
      case .string(let text)? = told["slots"]
    else { return nil }
    var slots: [Slot] = []
    var search = TensorSearch(dict)
    var step: Tensor?
    var rate: Tensor?
    for line in text.utf8.split(separator: 0x0A) {
      let fields = line.split(separator: 0x09, omittingEmptySubsequences: false).map { String(Substring($0)) }
      guard fields.count == 3, let tensor = search.tensor(at: fields[0]) else { continue }
      switch fields[1] {
      case "step": step = tensor
      case "lr": rate = tensor
      default: slots.append(Slot(name: fields[1], parameter: fields[2], tensor: tensor))
      }
    }
    self.slots = slots
    index = Dictionary(
      slots.enumerated().map { (ObjectIdentifier($1.tensor.source), $0) }, uniquingKeysWith: { first, _ in first })
    var options: [Dict.Entry] = []
    if let rate, let number = (try? rate.elements(as: Float.self))?.first {
      options.append(Dict.Entry(.string("lr"), .double(Double(number))))
    }
    if case .dict(let known)? = told["options"] { options += known.entries }
    guard let state = OptimizerState(.dict(Self.torch(slots, step: step, options: options))) else { return nil }
    self.state = state
  }

  /// What a tensor of the dictionary is; nil for the step, the learning rate, and what is not known.
  public func slot(of tensor: Tensor) -> Slot? {
    guard tensor.byteCount > 0 else { return nil }
    return index[ObjectIdentifier(tensor.source)].map { slots[$0] }
  }

  /// Finds tensors by paths with slashes. A group's entries are indexed once: optimizers have tens of thousands.
  private struct TensorSearch {
    private let root: Dict
    private var groups: [Key: [Key: Value]] = [:]

    init(_ root: Dict) { self.root = root }

    mutating func tensor(at path: String) -> Tensor? {
      let parts = path.utf8.split(separator: 0x2F).map { String(Substring($0)) }
      guard let name = parts.last else { return nil }
      let key = Key.string(parts.dropLast().joined(separator: "/"))
      if groups[key] == nil { groups[key] = entries(parts.dropLast()) }
      if case .tensor(let tensor)? = groups[key]?[.string(name)] { return tensor }
      return nil
    }

    private func entries(_ path: ArraySlice<String>) -> [Key: Value] {
      var dict = root
      for part in path {
        guard case .dict(let next)? = dict[part] else { return [:] }
        dict = next
      }
      return Dictionary(dict.entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
  }

  private static func torch(_ slots: [Slot], step: Tensor?, options: [Dict.Entry]) -> Dict {
    var order: [Key] = []
    var state: [Key: Dict] = [:]
    for slot in slots {
      let key = Key.string(slot.parameter)
      if state[key] == nil {
        order.append(key)
        state[key] = Dict(step.map { [Dict.Entry(.string("step"), .tensor($0))] } ?? [])
      }
      state[key]?.entries.append(Dict.Entry(.string(slot.name), .tensor(slot.tensor)))
    }
    let entries = order.map { Dict.Entry($0, .dict(state[$0] ?? Dict())) }
    let group = Dict(options + [Dict.Entry(.string("params"), .sequence(.list, order.map(\.value)))])
    return Dict([
      Dict.Entry(.string("state"), .dict(Dict(entries))),
      Dict.Entry(.string("param_groups"), .sequence(.list, [.dict(group)])),
    ])
  }
}
