/// What is known of a module that was pickled whole: its state dict has a record of all else in an attribute.
public struct PickledModule: Sendable {
  /// The attribute's name, and its record's type.
  public static let attribute = "module"
  public static let type = "torch.module"

  /// The class, `torch.nn.modules.linear.Linear`.
  public let className: String
  /// The state dict as the module's own `state_dict()` gives it: without what only the module had.
  public let stateDict: Dict
  /// Names of tensors that are in the dictionary and in no `state_dict()`.
  public let otherTensors: [Key]

  /// The lens on a value, or nil where it is not the state dict of such a module.
  public init?(_ value: Value) {
    guard case .dict(var dict) = value, let place = Self.place(in: dict),
      case .record(let module) = dict.attributes[place].value
    else { return nil }
    className = if case .string(let name)? = module["class"] { name } else { "torch.nn.Module" }
    otherTensors = dict.entries.filter(Self.isOther).map(\.key)
    dict.attributes.remove(at: place)
    dict.entries.removeAll(where: Self.isOther)
    stateDict = dict
  }

  /// Whether a dictionary is the state dict of such a module.
  static func isOne(_ dict: Dict) -> Bool { place(in: dict) != nil }

  private static func place(in dict: Dict) -> Int? {
    dict.attributes.firstIndex { field in
      guard field.name.hasSameBytes(as: attribute), case .record(let module) = field.value else { return false }
      return module.type.hasSameBytes(as: type)
    }
  }

  private static func isOther(_ entry: Dict.Entry) -> Bool {
    if case .tensor(let tensor) = entry.value { tensor.kind == .buffer(persistent: false) } else { false }
  }
}
