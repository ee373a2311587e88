import Checkpoint
import HDF5

/// Weights of Keras 3 in several files, with an index: `model.weights.json` beside `model_00000.weights.h5`, ….
///
/// The index says for each group of variables in which files it is.
struct KerasShards {
  private let folder: PartsFolder
  private let name: String
  /// The files in the order of the index.
  private var files: [String] = []
  /// The groups' files.
  private var owners: [(group: String, files: [String])] = []

  /// - Parameter path: of the index.
  init(_ path: String) throws(CheckpointError) {
    name = lastComponent(of: path)
    folder = try PartsFolder(parentFolder(of: path))
    do throws(CheckpointError) { try readIndex() } catch { throw error.inFile(path) }
  }

  private mutating func readIndex() throws(CheckpointError) {
    let file = try folder.map(name)
    defer { withExtendedLifetime(file) {} }
    guard file.count <= Keras.maximumText else {
      throw CheckpointError(.unsupported, "an index of \(file.count) bytes; at most \(Keras.maximumText) are read")
    }
    guard case .dict(let index) = try JSONTree.value(file.bytes), case .dict(let map)? = index["weight_map"] else {
      throw CheckpointError(.damaged, "an index without its 'weight_map'")
    }
    for entry in map.entries {
      guard let names = Self.names(entry.value) else {
        throw CheckpointError(.damaged, "no file's name, nor a list of them", place: "weight_map \(entry.key.text)")
      }
      owners.append((entry.key.text, names))
      for name in names where !files.contains(where: { $0.hasSameBytes(as: name) }) {
        try folder.checkName(name)
        files.append(name)
      }
    }
    let missing = files.filter { !folder.has($0) }
    guard missing.isEmpty else {
      throw CheckpointError(
        .damaged, "\(missing.count) of \(files.count) files missing: \(listed(missing, most: 5))",
        advice: "All files of the set belong together; copy them all.")
    }
  }

  private static func names(_ value: Value) -> [String]? {
    switch value {
    case .string(let name): return [name]
    case .sequence(_, let items):
      let names = items.compactMap { if case .string(let name) = $0 { name } else { nil } }
      return names.count == items.count ? names : nil
    default: return nil
    }
  }

  /// The tree that the files hold together.
  func read() throws(CheckpointError) -> KerasFile {
    var root = Dict()
    var places: [KerasReader.Place] = []
    var warnings: [String] = []
    var bytes = try folder.map(name).count
    for file in files {
      let mapped = try folder.map(file)
      bytes += mapped.count
      do throws(CheckpointError) {
        var reader = KerasReader(HDF5Content(mapped))
        root = try merged(root, try reader.read(), "")
        places += reader.writtenPlaces
        warnings += reader.warnings.map { "\(file): \($0)" }
      } catch {
        throw error.inFile(mapped.path)
      }
    }
    if let lost = owners.first(where: { !root.hasGroup($0.group) }) {
      throw CheckpointError(
        .damaged, "'\(lost.group)' is not in \(listed(lost.files, most: 3)), as the index says",
        file: "\(folder.path)/\(name)", advice: "The files belong to different models, or one was replaced.")
    }
    return KerasFile(form: .weights, root: root.numbered, places: places, warnings: warnings, bytes: bytes)
  }

  private func merged(_ a: Dict, _ b: Dict, _ path: String) throws(CheckpointError) -> Dict {
    var result = a
    for entry in b.entries {
      let place = "\(path)/\(entry.key.text)"
      guard let index = result.entries.firstIndex(where: { $0.key == entry.key }) else {
        result.entries.append(entry)
        continue
      }
      guard case .dict(let x) = result.entries[index].value, case .dict(let y) = entry.value else {
        throw CheckpointError(.damaged, "is in more than one file of the set", place: place)
      }
      result.entries[index].value = .dict(try merged(x, y, place))
    }
    for field in b.attributes where !result.attributes.contains(where: { $0.name.hasSameBytes(as: field.name) }) {
      result.attributes.append(field)
    }
    return result
  }
}

extension Dict {
  fileprivate func hasGroup(_ path: String) -> Bool {
    var dict = self
    for part in path.split(separator: "/") {
      guard case .dict(let next)? = dict[String(part)] else { return false }
      dict = next
    }
    return true
  }

  /// The same with its entries, and those below, in the order of their names, numbers as numbers.
  fileprivate var numbered: Dict {
    var copy = self
    copy.entries = KerasOrder([]).sorted(entries.map(\.key.text)).map { index in
      guard case .dict(let below) = entries[index].value else { return entries[index] }
      return Dict.Entry(entries[index].key, .dict(below.numbered))
    }
    return copy
  }
}
