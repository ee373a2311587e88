import Checkpoint

// Without coordination between the ranks (`use_collectives=False`) each writes a `__<rank>.metadata` of its own.
extension DCPMetadata {
  /// What several ranks' metadata say together. A chunk or value that several have is taken from the first.
  ///
  /// - Throws: `damaged` when two disagree about a tensor's type or shape.
  init(merging ranks: [(file: String, metadata: DCPMetadata)]) throws(CheckpointError) {
    var places: [Key: Int] = [:]
    var known: Set<Key> = []
    var boxes: [[Box: Int]] = []
    for (file, rank) in ranks {
      for entry in rank.entries {
        guard let place = places[.string(entry.name)] else {
          places[.string(entry.name)] = entries.count
          entries.append(entry)
          boxes.append(entry.boxes)
          continue
        }
        do throws(CheckpointError) { try entries[place].merge(entry, &boxes[place]) } catch {
          throw error.at(entry.name).at(file)
        }
      }
      for path in rank.paths where known.insert(.string(path.name)).inserted { paths.append(path) }
      strayCount += rank.strayCount
      strays = Array((strays + rank.strays).prefix(Self.shownStrays))
      version = version ?? rank.version
    }
  }
}

/// Where a chunk lies in its tensor.
private struct Box: Hashable {
  let offsets: [Int]
  let sizes: [Int]
}

extension DCPMetadata.Entry {
  /// The places of its chunks.
  fileprivate var boxes: [Box: Int] {
    guard case .tensor(let tensor) = item else { return [:] }
    let all = tensor.chunks.enumerated().map { (Box(offsets: $1.offsets, sizes: $1.sizes), $0) }
    return Dictionary(all, uniquingKeysWith: { first, _ in first })
  }

  fileprivate mutating func merge(
    _ other: DCPMetadata.Entry, _ boxes: inout [Box: Int]
  ) throws(CheckpointError) {
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
      for chunk in theirs.chunks { merge(chunk, into: &mine, &boxes) }
      item = .tensor(mine)
    default: throw CheckpointError(.damaged, "is a tensor to one rank and another value to the next")
    }
  }

  private mutating func merge(
    _ chunk: DCPMetadata.Chunk, into tensor: inout DCPMetadata.TensorItem, _ boxes: inout [Box: Int]
  ) {
    guard !chunk.isEmpty else { return }
    let box = Box(offsets: chunk.offsets, sizes: chunk.sizes)
    guard let same = boxes[box] else {
      boxes[box] = tensor.chunks.count
      return tensor.chunks.append(chunk)
    }
    if tensor.chunks[same].part == nil {
      tensor.chunks[same].part = chunk.part
    } else if let part = chunk.part {
      replicas.append(part)
    }
  }
}
