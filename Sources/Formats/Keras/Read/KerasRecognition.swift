import Checkpoint
import HDF5

/// Tells Keras' files by their content.
enum KerasRecognition {
  enum Kind {
    /// Keras 1 and 2, and Keras 3 where it is asked for a `.h5`.
    case legacy
    /// The weights of Keras 3.
    case weights
  }

  /// Which of Keras' HDF5 files one is; nil for any other.
  static func kind(_ start: FileStart) -> Kind? {
    guard start.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]), !NativeFormat.recognises(start) else {
      return nil
    }
    do throws(CheckpointError) {
      return try kind(of: HDF5Content(try MappedFile(start.path)))
    } catch {
      // One that libhdf5 cannot open, for it is cut short or damaged: its first names may still tell.
      if start.contains("keras_version\0") || start.contains("layer_names\0") { return .legacy }
      return start.contains("layers\0") || start.contains("optimizer\0") ? .weights : nil
    }
  }

  private static func kind(of content: HDF5Content) throws(CheckpointError) -> Kind? {
    let file = try content.open()
    let root = try hdf5 { () throws(HDF5Error) in try file.root() }
    let names = try hdf5 { () throws(HDF5Error) in try root.attributeNames() }
    if names.contains(where: { $0 == Keras.layerNames || $0 == Keras.layerNames + "0" }) { return .legacy }
    if try hdf5({ () throws(HDF5Error) in try root.exists(FlatCheckpoint.key) }) { return .weights }
    var search = VariableSearch()
    if try hdf5({ () throws(HDF5Error) in try search.visit(root, name: "", depth: 0) }), search.found {
      return .weights
    }
    let hasModel = try hdf5 { () throws(HDF5Error) in try root.exists(Keras.modelWeights) }
    return hasModel ? .legacy : nil
  }

  /// Whether a JSON file is the index of Keras' sharded weights.
  static func isIndex(_ start: FileStart) -> Bool {
    guard !start.isFolder, let first = start.bytes.first(where: { $0 > 0x20 }) else { return false }
    return first == UInt8(ascii: "{") && start.contains("\"weight_map\"") && start.contains(".weights.h5\"")
  }

  /// Whether an archive is one of Keras.
  static func isArchive(_ start: FileStart) -> Bool {
    guard let first = start.firstZipName else { return false }
    return [Keras.metadata, Keras.config, Keras.weights].contains(first)
  }
}

/// Looks for variables as Keras 3 keeps them: `vars/0`. In such a file every dataset lies in a group `vars`.
private struct VariableSearch {
  private(set) var found = false
  private var seen: Set<UInt64> = []
  private var objects = 0

  init() {}

  /// False where the group holds a dataset that Keras 3 would not have put there.
  mutating func visit(_ group: borrowing Group, name: String, depth: Int) throws(HDF5Error) -> Bool {
    for link in try group.links() {
      objects += 1
      guard objects <= Keras.maximumObjects, depth < Keras.maximumDepth else { return false }
      guard let object = link.object else { continue }
      switch object.kind {
      case .dataset:
        guard name == Keras.variables else { return false }
        if link.name == "0" { found = true }
      case .group where seen.insert(object.address).inserted:
        guard try visit(try group.openGroup(link.name), name: link.name, depth: depth + 1) else { return false }
      default: break
      }
    }
    return true
  }
}
