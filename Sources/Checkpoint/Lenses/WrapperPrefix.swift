/// What wrappers of a model put into its names.
///
/// Facts: `DistributedDataParallel` and `DataParallel` begin each name with `module.`, `torch.compile` with `_orig_mod.`,
/// Lightning's strategies with `_forward_module.`; FSDP puts `_fsdp_wrapped_module.` and activation checkpointing
/// `_checkpoint_wrapped_module.` before the names of each module they wrap, wherever it is.
public enum WrapperPrefix {
  /// Those that stand at the beginning of each name.
  static let outer = ["module.", "_orig_mod.", "_forward_module."]
  /// Those that may stand before any part of a name.
  static let inner = ["_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod."]

  /// The wrappers that a state dict's names tell of, in the order in which they are met.
  public static func all(in names: [String]) -> [String] {
    var found: [String] = []
    var rests = names.map { $0.utf8[...] }
    while !rests.isEmpty,
      let prefix = (outer + inner).first(where: { prefix in
        rests.allSatisfy { $0.starts(with: prefix.utf8) && $0.count > prefix.utf8.count }
      })
    {
      if !found.contains(prefix) { found.append(prefix) }
      rests = rests.map { $0.dropFirst(prefix.utf8.count) }
    }
    for prefix in inner where !found.contains(prefix) {
      if names.contains(where: { !places(of: prefix, in: $0.utf8[...]).isEmpty }) { found.append(prefix) }
    }
    return found
  }

  /// Where a prefix stands before a part of a name.
  static func places(of prefix: String, in name: Substring.UTF8View) -> [Substring.UTF8View.Index] {
    var places: [Substring.UTF8View.Index] = []
    var start = name.startIndex
    while start < name.endIndex {
      if name[start...].starts(with: prefix.utf8) { places.append(start) }
      guard let dot = name[start...].firstIndex(of: 0x2E) else { break }
      start = name.index(after: dot)
    }
    return places
  }

  /// A name without an inner prefix, wherever it stands; nil where it does not.
  static func removed(_ prefix: String, from name: Substring.UTF8View) -> String? {
    let places = places(of: prefix, in: name)
    guard !places.isEmpty else { return nil }
    var bytes: [UInt8] = []
    var at = name.startIndex
    for place in places {
      bytes += name[at..<place]
      at = name.index(place, offsetBy: prefix.utf8.count)
    }
    return String(decoding: bytes + name[at...], as: UTF8.self)
  }
}
