public import Checkpoint
import HDF5

/// The arrays in an HDF5 file of any program, h5py's above all.
///
/// Only hard links are followed, data in other files is refused, and no filter but deflate, shuffle and fletcher32 is
/// run: a file is looked at as one of a stranger.
public enum HDF5Arrays {
  /// Reads the tree: a dict from paths (`train/x`, without a slash in front) to tensors. Contiguous data stays in the
  /// mapped file; chunked data is read when it is asked for. What is no array of numbers is left out, and a warning that
  /// begins with its path says why.
  ///
  /// - Throws: `damaged`, `unsupported` when libhdf5 cannot open it.
  public static func read(_ path: String) throws(CheckpointError) -> Checkpoint {
    do throws(CheckpointError) {
      let file = try hdf5 { () throws(HDF5Error) in try File.open(path, .readOnly) }
      var walk = HDF5ArrayWalk(file: try MappedFile(path))
      try walk.visit(try hdf5 { () throws(HDF5Error) in try file.root() }, [])
      return Checkpoint(root: .dict(Dict(walk.entries)), warnings: walk.warnings)
    } catch {
      throw error.inFile(path)
    }
  }
}

private struct HDF5ArrayWalk {
  let file: MappedFile
  var entries: [Dict.Entry] = []
  var warnings: [String] = []
  private var groups: Set<UInt64> = []

  private static let maximumObjects = 100_000
  private static let maximumDepth = 64

  init(file: MappedFile) { self.file = file }

  mutating func visit(_ group: borrowing Group, _ path: [String]) throws(CheckpointError) {
    let links = try hdf5 { () throws(HDF5Error) in try group.links() }
    for link in links {
      let path = path + [link.name]
      guard entries.count + warnings.count + groups.count < Self.maximumObjects else {
        throw CheckpointError(.unsupported, "more than \(Self.maximumObjects) objects in the file")
      }
      guard link.kind == .hard, let object = link.object else {
        warn(path, "a link that leads elsewhere, which is not followed")
        continue
      }
      switch object.kind {
      case .group:
        guard path.count < Self.maximumDepth, groups.insert(object.address).inserted else {
          warn(path, "another link to a group, or groups below level \(Self.maximumDepth)")
          continue
        }
        try visit(try hdf5 { () throws(HDF5Error) in try group.openGroup(link.name) }, path)
      case .dataset:
        do throws(CheckpointError) { try add(group, link.name, path) } catch { warn(path, error.message) }
      case .namedType, .other: warn(path, "no array")
      }
    }
  }

  private mutating func add(_ group: borrowing Group, _ name: String, _ path: [String]) throws(CheckpointError) {
    let dataset = try hdf5 { () throws(HDF5Error) in try group.openDataset(name) }
    let text = path.joined(separator: "/")
    let stored = try StoredBytes(dataset, file: file, path: text)
    guard stored.shape != .null else { throw CheckpointError(.unsupported, "an empty dataspace") }
    entries.append(Dict.Entry(.string(text), .tensor(try stored.tensor())))
  }

  private mutating func warn(_ path: [String], _ what: String) {
    warnings.append("\(path.joined(separator: "/")): \(what)")
  }
}
