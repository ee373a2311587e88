import Checkpoint
import HDF5

extension OptimizerForm {
  /// Links of an optimizer's group that are no slots.
  static let ownedLinks: Set<String> = ["params", "ids", "step", "state_order", "param_groups"]

  /// The names as a fixed-length column must not take more space than they are worth.
  func checkWidth() throws(DoesNotFit) {
    guard LeafWriter.textWidth(names.map { LinkName.escape($0) }) != nil else {
      throw DoesNotFit(why: "its parameters' names differ too much in length")
    }
  }

  /// Writes what is one number or one name a parameter, and makes the slots' groups.
  func writeColumns(to group: borrowing Group) throws(HDF5Error) {
    if !slots.isEmpty { try group.writeAttribute("slots", .strings(slots)) }
    if !stateFirst { try group.writeAttribute("state_first", .bool(false)) }
    let links = names.map { LinkName.escape($0) }
    let width = LeafWriter.textWidth(links) ?? 1
    try group.writeColumn(
      "params", LeafWriter.textType(width), count: links.count, bytes: LeafWriter.padded(links, width))
    if let ids {
      if ids != Array(0..<Int64(ids.count)) { try group.writeColumn("ids", .int64, elements: ids) }
    } else {
      try group.writeAttribute(Vocabulary.keys, .string("names"))
    }
    if let stepType {
      try group.writeAttribute("step-type", .string(stepType.text))
      try group.writeColumn("step", .int64, elements: steps)
    }
    if state != impliedState { try group.writeColumn("state_order", .int64, elements: state.map(Int64.init)) }
    for slot in slots where slot != "step" {
      let child = try group.createGroup(LinkName.escape(slot, reserved: Self.ownedLinks))
      try child.writeAttribute(Vocabulary.encodingType, .string(Encoding.column.rawValue))
    }
  }

  /// The positions that have state as the columns alone tell it: by position, those with a step or a slot.
  var impliedState: [Int] {
    names.indices.filter { position in
      steps[position] >= 0 || values.values.contains { $0[position] != nil }
    }
  }
}

extension Value {
  /// The attribute that says exactly this value of a group, or nil where none does.
  var attribute: AttributeValue? {
    switch self {
    case .none: return .empty
    case .bool(let x): return .bool(x)
    case .int(let x): return .int(x)
    case .double(let x): return .double(x)
    case .string(let x): return x.isEmpty || x.utf8.contains(0) || x.utf8.count > 1024 ? nil : .string(x)
    case .sequence(.tuple, let items):
      guard (1...64).contains(items.count), case .doubles(let x) = LeafWriter.column(items) else { return nil }
      return .doubles(x)
    default: return nil
    }
  }

  /// The attribute that shows, beside the exact form, what a person looks for: the number of a 0-d `lr` tensor.
  var shownAttribute: AttributeValue? {
    guard case .tensor(let tensor) = self, let number = tensor.approximateNumber else { return nil }
    return .double(number)
  }

  /// The value of an attribute of a group; nil for one that no writer makes.
  init?(_ attribute: AttributeValue) {
    switch attribute {
    case .empty: self = .none
    case .bool(let x): self = .bool(x)
    case .int(let x): self = .int(x)
    case .double(let x): self = .double(x)
    case .string(let x): self = .string(x)
    case .doubles(let x): self = .sequence(.tuple, x.map(Value.double))
    default: return nil
    }
  }
}
