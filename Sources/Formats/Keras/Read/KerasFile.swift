import Checkpoint
import HDF5

/// What was read of a Keras file, whichever of its forms it has.
struct KerasFile {
  enum Form: String {
    case legacy = "h5"
    case weights = "weights.h5"
    case archive = "keras"
  }

  var form: Form
  var root: Dict
  /// The tensors in the order in which Keras wrote them, as far as that can be told.
  var places: [KerasReader.Place]
  var warnings: [String]
  var problems: [String] = []
  var bytes: Int

  /// An HDF5 file.
  init(_ path: String, form: Form) throws(CheckpointError) {
    do throws(CheckpointError) {
      let file = try MappedFile(path)
      var reader = KerasReader(HDF5Content(file))
      root = try reader.read()
      (places, warnings, bytes) = (reader.writtenPlaces, reader.warnings, file.count)
      self.form = form
      finish(reader)
    } catch {
      throw error.inFile(path)
    }
  }

  init(form: Form, root: Dict, reader: KerasReader, bytes: Int) {
    (self.form, self.root, self.bytes) = (form, root, bytes)
    (places, warnings) = (reader.writtenPlaces, reader.warnings)
    finish(reader)
  }

  init(form: Form, root: Dict, places: [KerasReader.Place], warnings: [String], bytes: Int) {
    (self.form, self.root, self.places, self.warnings, self.bytes) = (form, root, places, warnings, bytes)
    mark()
  }

  private mutating func finish(_ reader: KerasReader) {
    if !reader.missing.isEmpty {
      problems.append("the lists of names have what is not in the file: \(listed(reader.missing))")
      warnings += problems
    }
    mark()
  }

  /// The attribute that tells writers where the tree is from.
  private mutating func mark() { root.attributes.append(Record.Field(Keras.marker, .string(form.rawValue))) }

  /// Places in the order of the tree, which is that of the lists of names.
  func inTreesOrder(_ places: [KerasReader.Place]) -> [KerasReader.Place] {
    var ranks: [[String]: Int] = [:]
    var stack: [(path: [String], dict: Dict)] = [([], root)]
    while let (path, dict) = stack.popLast() {
      for entry in dict.entries where ranks[path + [entry.key.text]] == nil {
        ranks[path + [entry.key.text]] = ranks.count
      }
      for entry in dict.entries.reversed() {
        if case .dict(let below) = entry.value { stack.append((path + [entry.key.text], below)) }
      }
    }
    return places.sorted { (ranks[$0.path] ?? .max) < (ranks[$1.path] ?? .max) }
  }

  /// The text of an attribute of the root.
  func text(_ name: String) -> String? {
    guard case .string(let text)? = root.attributes.first(where: { $0.name == name })?.value else { return nil }
    return text
  }

  /// The version of Keras that wrote the file, where it says so.
  var version: String? {
    if let version = text("keras_version") { return version }
    if case .dict(let model)? = root[Keras.modelWeights],
      case .string(let version)? = model.attributes.first(where: { $0.name == "keras_version" })?.value
    {
      return version
    }
    guard let metadata = text(Keras.metadata)?.jsonTree, case .dict(let dict) = metadata,
      case .string(let version)? = dict["keras_version"]
    else { return nil }
    return version
  }
}

extension String {
  /// The text as JSON; nil where it is none.
  var jsonTree: Value? {
    withBytes { bytes in try? JSONTree.value(UnsafeRawBufferPointer(bytes)) }
  }
}
