import Checkpoint

/// Whether boxes cover a tensor: each element once.
enum ChunkCover {
  /// - Parameter limit: how many pairs of boxes may be compared. A grid of 16 000 boxes needs 2 million.
  /// - Throws: `damaged` for a box outside the tensor, two that overlap, or elements that no box has; it names them.
  static func check(_ tensor: DCPMetadata.TensorItem, comparing limit: Int = 4_000_000) throws(CheckpointError) {
    let shape = tensor.shape
    var boxes: [DCPMetadata.Chunk] = []
    var volume = 0
    for chunk in tensor.chunks {
      guard isInside(chunk, shape) else {
        throw CheckpointError(.damaged, "the chunk \(chunk.text) is no part of a tensor of size \(shape)")
      }
      guard !chunk.isEmpty else { continue }
      boxes.append(chunk)
      // As many as the tensor has at most, each time; so the sum cannot overflow before it is too large.
      volume += elementCount(of: chunk.sizes) ?? 0
      guard volume <= elementCount(of: shape) ?? 0 || boxes.count == 1 else {
        try refuseOverlaps(boxes, shape, limit)
        throw CheckpointError(.damaged, "the chunks hold more elements than a tensor of size \(shape)")
      }
    }
    try refuseOverlaps(boxes, shape, limit)
    guard volume == elementCount(of: shape) ?? 0 else {
      let place = firstGap(boxes, shape).map { "the element \($0) is" } ?? "some elements are"
      throw CheckpointError(
        .damaged, "\(place) in none of the chunks of a tensor of size \(shape)",
        advice: "A part of the checkpoint is missing: another rank's metadata, or an interrupted save.")
    }
  }

  private static func isInside(_ chunk: DCPMetadata.Chunk, _ shape: [Int]) -> Bool {
    guard chunk.offsets.count == shape.count, chunk.sizes.count == shape.count else { return false }
    return shape.indices.allSatisfy {
      chunk.offsets[$0] <= shape[$0] && chunk.sizes[$0] <= shape[$0] - chunk.offsets[$0]
    }
  }

  /// Sweeps along the dimension in which the boxes begin at most places, and compares each with those that have not
  /// ended yet.
  private static func refuseOverlaps(
    _ boxes: [DCPMetadata.Chunk], _ shape: [Int], _ limit: Int
  ) throws(CheckpointError) {
    guard boxes.count > 1 else { return }
    let starts = shape.indices.map { d in Set(boxes.map { $0.offsets[d] }).count }
    let sweep = shape.indices.max { starts[$0] < starts[$1] }
    let order = boxes.indices.sorted { a, b in
      sweep.map { boxes[a].offsets[$0] < boxes[b].offsets[$0] } ?? false
    }
    var active: [Int] = []
    var comparisons = 0
    for index in order {
      let box = boxes[index]
      if let sweep { active.removeAll { boxes[$0].offsets[sweep] + boxes[$0].sizes[sweep] <= box.offsets[sweep] } }
      comparisons += active.count
      guard comparisons <= limit else {
        throw CheckpointError(.damaged, "\(boxes.count) chunks lie so that too many could overlap; refused")
      }
      for other in active where overlap(boxes[other], box) {
        let what =
          boxes[other].offsets == box.offsets && boxes[other].sizes == box.sizes
          ? "the chunk \(box.text) is there twice" : "the chunks \(boxes[other].text) and \(box.text) overlap"
        throw CheckpointError(.damaged, what)
      }
      active.append(index)
    }
  }

  private static func overlap(_ a: DCPMetadata.Chunk, _ b: DCPMetadata.Chunk) -> Bool {
    a.offsets.indices.allSatisfy {
      a.offsets[$0] < b.offsets[$0] + b.sizes[$0] && b.offsets[$0] < a.offsets[$0] + a.sizes[$0]
    }
  }

  /// The first element that no box has. Gaps begin where boxes or the tensor begin and end.
  private static func firstGap(_ boxes: [DCPMetadata.Chunk], _ shape: [Int]) -> [Int]? {
    guard !shape.isEmpty, boxes.count <= 256 else { return shape.isEmpty ? [] : nil }
    let marks = shape.indices.map { d in
      Set([0] + boxes.flatMap { [$0.offsets[d], $0.offsets[d] + $0.sizes[d]] }).filter { $0 < shape[d] }.sorted()
    }
    guard let cells = elementCount(of: marks.map(\.count)), cells <= 1 << 16 else { return nil }
    for cell in 0..<cells {
      var rest = cell
      var place = shape
      for d in shape.indices.reversed() {
        place[d] = marks[d][rest % marks[d].count]
        rest /= marks[d].count
      }
      let isHeld = boxes.contains { box in
        place.indices.allSatisfy { place[$0] >= box.offsets[$0] && place[$0] < box.offsets[$0] + box.sizes[$0] }
      }
      if !isHeld { return place }
    }
    return nil
  }
}
