import Checkpoint

// Without coordination between the ranks (`use_collectives=False`) each writes a `__<rank>.metadata` of its own.
extension DCPMetadata {
  /// What several ranks' metadata say together. A chunk or value that several have is taken from the first.
  ///
  /// - Throws: `damaged` when two disagree about a tensor's type or shape.
  init(merging ranks: [(file: String, metadata: DCPMetadata)]) throws(CheckpointError) {
    var places: [Key: Int] = [:]
    var known: Set<Key> = []
    for (file, rank) in ranks {
      for entry in rank.entries {
        guard let place = places[.string(entry.name)] else {
          places[.string(entry.name)] = entries.count
          entries.append(entry)
          continue
        }
        do throws(CheckpointError) { try entries[place].merge(entry) } catch { throw error.at(entry.name).at(file) }
      }
      for path in rank.paths where known.insert(.string(path.name)).inserted { paths.append(path) }
      strays += rank.strays
      version = version ?? rank.version
    }
  }
}

extension DCPMetadata.Entry {
  fileprivate mutating func merge(_ other: DCPMetadata.Entry) throws(CheckpointError) {
    switch (item, other.item) {
    case (.value(let mine), .value(let theirs)):
      if mine == nil { item = .value(theirs) } else if let theirs { replicas.append(theirs) }
    case (.tensor(var mine), .tensor(let theirs)):
      guard mine.dtype == theirs.dtype, mine.shape == theirs.shape else {
        throw CheckpointError(
          .damaged,
          "is \(theirs.dtype.rawValue) \(theirs.shape), but \(mine.dtype.rawValue) \(mine.shape) to the ranks before")
      }
      item = .value(nil)
      for chunk in theirs.chunks { merge(chunk, into: &mine) }
      item = .tensor(mine)
    default: throw CheckpointError(.damaged, "is a tensor to one rank and another value to the next")
    }
  }

  private mutating func merge(_ chunk: DCPMetadata.Chunk, into tensor: inout DCPMetadata.TensorItem) {
    guard !chunk.isEmpty else { return }
    let same = tensor.chunks.firstIndex { $0.offsets == chunk.offsets && $0.sizes == chunk.sizes }
    guard let same else { return tensor.chunks.append(chunk) }
    if tensor.chunks[same].part == nil {
      tensor.chunks[same].part = chunk.part
    } else if let part = chunk.part {
      replicas.append(part)
    }
  }
}
