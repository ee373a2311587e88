/// A module's state: an ordered map from name to tensor. A view of a dictionary of the tree, which keeps everything.
public struct StateDict: Sendable {
  /// What an entry is to its module.
  public enum Role: Sendable, Equatable {
    /// The file says that it is a `Parameter`.
    case parameter
    /// The file says that it is a `Buffer`, or its name or element type says that no optimizer can own it.
    case buffer
    /// A tensor that nothing tells apart from a parameter: state dicts hold plain tensors.
    case presumedParameter
    /// `*._extra_state`: whatever the module put there.
    case extraState
  }

  public struct Entry: Sendable {
    public let name: String
    public let value: Value
    public let role: Role
    /// The name of the first entry that this one shares its storage with.
    public let tiedTo: String?

    /// The tensor; nil for extra state and for sparse and quantised tensors, which are records.
    public var tensor: Tensor? { if case .tensor(let tensor) = value { tensor } else { nil } }
  }

  /// The dictionary as the tree has it.
  public let dict: Dict
  public let entries: [Entry]
  private let index: [Key: Int]

  /// The lens on a value, or nil where it is no state dict: a dictionary with string keys that holds at least one
  /// tensor and, `*._extra_state` aside, nothing else.
  public init?(_ value: Value) {
    guard case .dict(let dict) = value, Self.mismatch(dict) == nil else { return nil }
    self.dict = dict
    var entries: [Entry] = []
    entries.reserveCapacity(dict.count)
    var index: [Key: Int] = [:]
    index.reserveCapacity(dict.count)
    let names = Set(dict.entries.map(\.key))
    // A module that was pickled whole says of each tensor what it is.
    let isModule = PickledModule.isOne(dict) && dict.entries.contains { Self.isParameter($0.value) }
    var owners = TieFinder()
    for (position, entry) in dict.entries.enumerated() {
      guard case .string(let name) = entry.key else { return nil }
      let owner = owners.owner(of: entry.value, at: position)
      entries.append(
        Entry(
          name: name, value: entry.value, role: Self.role(of: name, entry.value, in: names, isModule: isModule),
          tiedTo: owner.map { entries[$0].name }))
      if index[entry.key] == nil { index[entry.key] = position }
    }
    self.entries = entries
    self.index = index
  }

  public var names: [String] { entries.map(\.name) }

  /// The entry of this name, found at once.
  public subscript(name: String) -> Entry? { index[.string(name)].map { entries[$0] } }

  /// PyTorch's `_metadata`: the versions of the modules.
  public var metadata: Value? { dict.attributes.first { $0.name.hasSameBytes(as: "_metadata") }?.value }

  /// Names that share one storage, in groups of two and more.
  public var ties: [[String]] {
    var groups: [Key: Int] = [:]
    var result: [[String]] = []
    for entry in entries {
      guard let owner = entry.tiedTo else { continue }
      if let group = groups[.string(owner)] {
        result[group].append(entry.name)
      } else {
        groups[.string(owner)] = result.count
        result.append([owner, entry.name])
      }
    }
    return result
  }

  /// The entries that an optimizer over the module would own, in its order: no buffers, each storage once.
  public var trainable: [Entry] {
    entries.filter { ($0.role == .parameter || $0.role == .presumedParameter) && $0.tiedTo == nil && $0.tensor != nil }
  }
}

extension StateDict {
  /// Why a dictionary is no state dict; nil when it is one.
  static func mismatch(_ dict: Dict) -> String? {
    var tensors = 0
    var octets = 0
    // By index: a copy of each entry would count references for all that it holds.
    for index in dict.entries.indices {
      guard case .string(let name) = dict.entries[index].key else { return "a key is no string" }
      if isTensor(dict.entries[index].value) {
        tensors += 1
        if dict.entries[index].value.isRowOfBytes { octets += 1 }
      } else if !isExtraState(name) {
        return "'\(name)' is no tensor"
      }
    }
    if tensors == 0 { return "it holds no tensor" }
    return octets == tensors ? "it holds rows of bytes only, as the states of random number generators do" : nil
  }

  /// Whether a value is a tensor, or the record that stands for a sparse, quantised or wrapped one.
  static func isTensor(_ value: Value) -> Bool {
    switch value {
    case .tensor: true
    case .record(let record):
      isTensor(record.type)
        || record.type.utf8.starts(with: "torch.".utf8)
          && record.fields.contains { if case .tensor = $0.value { true } else { false } }
    default: false
    }
  }

  /// Records that are tensors, though their own bytes are elsewhere, nowhere, or of other numbers.
  private static func isTensor(_ type: String) -> Bool {
    ["torch.wrapper_subclass", "torch.meta_tensor", BlockTensor.recordType].contains { type.hasSameBytes(as: $0) }
  }

  static func isExtraState(_ name: String) -> Bool {
    lastComponent(name).elementsEqual("_extra_state".utf8)
  }

  private static func isParameter(_ value: Value) -> Bool {
    if case .tensor(let tensor) = value { tensor.kind == .parameter } else { false }
  }

  private static func role(of name: String, _ value: Value, in names: Set<Key>, isModule: Bool) -> Role {
    if isExtraState(name) { return .extraState }
    guard case .tensor(let tensor) = value else { return .presumedParameter }
    switch tensor.kind {
    case .parameter: return .parameter
    case .buffer: return .buffer
    case .tensor:
      if isModule { return .buffer }
      let trainable = tensor.dtype.isFloatingPoint || tensor.dtype.isComplex
      return !trainable || isBuffer(name, tensor.shape, in: names) ? .buffer : .presumedParameter
    }
  }

  private static func isBuffer(_ name: String, _ shape: [Int], in names: Set<Key>) -> Bool {
    let last = String(lastComponent(name)) ?? name
    if bufferNames.contains(.string(last)) { return true }
    // A causal mask under the name 'bias', as GPT-2 has it.
    if last.hasSameBytes(as: "bias"), shape.count == 4, shape[0] == 1, shape[1] == 1, shape[2] == shape[3] {
      return true
    }
    // Spectral norm keeps vectors u and v; weight norm has a parameter of the name 'weight_v', and no u.
    guard last.hasSameBytes(as: "weight_v") else { return false }
    return names.contains(.string(String(name.dropLast()) + "u"))
  }

  /// Names that well-known modules give to floating-point buffers: batch norm, spectral norm, rotary embeddings,
  /// attention masks, quantisation observers, image preprocessing.
  private static let bufferNames: Set<Key> = Set(
    [
      "running_mean", "running_var", "num_batches_tracked", "weight_u", "_u", "_v", "inv_freq", "attn_mask",
      "relative_position_index", "relative_coords_table", "position_ids", "min_val", "max_val", "zero_point",
      "pixel_mean", "pixel_std", "original_inv_freq", "masked_bias",
    ].map(Key.string))

  private static func lastComponent(_ name: String) -> Substring.UTF8View {
    let bytes = name.utf8
    guard let dot = bytes.lastIndex(of: 0x2E) else { return bytes[...] }
    return bytes[bytes.index(after: dot)...]
  }
}

extension Value {
  fileprivate var isRowOfBytes: Bool {
    if case .tensor(let tensor) = self { tensor.dtype == .uint8 && tensor.shape.count == 1 } else { false }
  }
}

/// Finds tensors that share one storage.
struct TieFinder {
  private struct Identity: Hashable {
    let source: ObjectIdentifier
    let dtype: DType
    let shape: [Int]
  }

  private var first: [Identity: Int] = [:]

  /// The position at which this tensor's storage was met first, when that was before.
  mutating func owner(of value: Value, at position: Int) -> Int? {
    guard case .tensor(let tensor) = value else { return nil }
    return owner(of: tensor, at: position)
  }

  mutating func owner(of tensor: Tensor, at position: Int) -> Int? {
    guard tensor.byteCount > 0 else { return nil }
    let identity = Identity(source: ObjectIdentifier(tensor.source), dtype: tensor.dtype, shape: tensor.shape)
    if let owner = first[identity] { return owner }
    first[identity] = position
    return nil
  }
}
