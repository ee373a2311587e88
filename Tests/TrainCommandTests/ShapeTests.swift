import Testing

@testable import ckpt_train

/// Shapes on their way through layers.
@Suite struct ShapeTests {
  private func flow(_ layers: String, _ input: ShapeFlow, areTokens: Bool? = nil) -> (ShapeFlow?, [String]) {
    let problems = ConfigProblems()
    let node = try? ConfigText.parse(layers, file: "l.yaml")
    guard let node else { return (nil, ["no YAML"]) }
    let read = LayerReader.layers(node, "", problems)
    var shapes = LayerShapes(problems, areTokens: areTokens)
    let shape = shapes.flow(input, through: read)
    return (shape, problems.all.map(\.message))
  }

  @Test(arguments: [
    ("[linear: {in: 4, out: 3}]", [4], [3]), ("[linear: {in: 4, out: 3}]", [7, 4], [7, 3]),
    ("[conv2d: {in: 1, out: 8, kernel_size: 3}]", [1, 28, 28], [8, 26, 26]),
    ("[conv2d: {in: 3, out: 8, kernel_size: [3, 5], stride: 2, padding: [1, 2]}]", [3, 9, 11], [8, 5, 6]),
    ("[conv2d: {in: 1, out: 2, kernel_size: 3, dilation: 2}]", [1, 9, 9], [2, 5, 5]),
    ("[max_pool2d: {kernel_size: 2}]", [8, 13, 13], [8, 6, 6]),
    ("[avg_pool2d: {kernel_size: 3, stride: 1, padding: 1}]", [8, 13, 13], [8, 13, 13]),
    ("[flatten]", [8, 6, 6], [288]), ("[flatten]", [5], [5]), ("[flatten: {start_dim: 2}]", [8, 6, 6], [8, 36]),
    ("[flatten: {end_dim: 2}]", [8, 6, 6], [48, 6]),
    ("[layer_norm: {normalized_shape: [6, 6]}]", [8, 6, 6], [8, 6, 6]),
    ("[batch_norm2d: {num_features: 8}, gelu, softmax: {dim: -1}]", [8, 6, 6], [8, 6, 6]),
    ("[residual: [linear: {in: 4, out: 9}, relu, linear: {in: 9, out: 4}]]", [4], [4]),
  ])
  func isThatOfPyTorch(layers: String, input: [Int], output: [Int]) {
    let (shape, problems) = flow(layers, .sizes(input))
    #expect(shape == .sizes(output), "\(problems)")
  }

  @Test func tokensGoIntoAnEmbedding() {
    let embedding = "[embedding: {num_embeddings: 65, embedding_dim: 32}, linear: {in: 32, out: 65}]"
    #expect(flow(embedding, .sizes([16]), areTokens: true).0 == .sizes([16, 65]))
    #expect(
      flow(embedding, .sizes([16]), areTokens: false).1 == [
        "expected whole numbers, which an embedding takes, found other numbers"
      ])
    #expect(
      flow("[linear: {in: 16, out: 2}]", .sizes([16]), areTokens: true).1 == [
        "expected an embedding first, since the data has tokens"
      ])
  }

  @Test(arguments: [
    ("[linear: {in: 4, out: 3}]", [5], "expected [N, …, 4], found [N, 5] from the data"),
    ("[conv2d: {in: 1, out: 8, kernel_size: 3}]", [28, 28], "expected [N, 1, H, W], found [N, 28, 28] from the data"),
    (
      "[conv2d: {in: 1, out: 8, kernel_size: 3}]", [3, 28, 28],
      "expected [N, 1, H, W], found [N, 3, 28, 28] from the data"
    ),
    (
      "[conv2d: {in: 1, out: 8, kernel_size: 9}]", [1, 8, 8],
      "expected at least 9 x 9 pixels with the padding, found [N, 1, 8, 8] from the data"
    ),
    ("[max_pool2d: {kernel_size: 2}]", [5], "expected [N, C, H, W], found [N, 5] from the data"),
    (
      "[batch_norm1d: {num_features: 3}]", [4], "expected [N, 3] or [N, 3, L], found [N, 4] from the data"
    ),
    ("[layer_norm: {normalized_shape: 3}]", [4], "expected [N, …, 3], found [N, 4] from the data"),
    (
      "[residual: [linear: {in: 4, out: 9}]]", [4],
      "expected layers that keep the shape [N, 4], since it is added; they give [N, 9]"
    ),
    ("[softmax: {dim: 2}]", [4], "expected a dimension 2, found [N, 4] from the data"),
  ])
  func mismatchIsTold(layers: String, input: [Int], message: String) {
    #expect(flow(layers, .sizes(input)).1 == [message])
  }

  @Test(arguments: [
    "[linear: {in: 4, out: 3}, dropout, linear: {in: 4, out: 3}]",
    "[conv2d: {in: 1, out: 8, kernel_size: 3}, relu, conv2d: {in: 4, out: 8, kernel_size: 3}]",
    "[conv2d: {in: 1, out: 8, kernel_size: 3}, batch_norm2d: {num_features: 4}]",
    "[linear: {in: 4, out: 3}, layer_norm: {normalized_shape: 4}]",
    "[linear: {in: 4, out: 3}, residual: [linear: {in: 3, out: 4}]]",
  ])
  func layersAreComparedWithoutData(layers: String) {
    #expect(flow(layers, .unknown).1.count == 1)
  }

  @Test(arguments: [
    "[conv2d: {in: 1, out: 8, kernel_size: 3}, flatten, linear: {in: 99, out: 8}]",
    "[linear: {in: 4, out: 3}, batch_norm1d: {num_features: 3}]", "[flatten, linear: {in: 4, out: 3}]",
  ])
  func whatOnlyTheDataCanTellIsLeftOpen(layers: String) {
    #expect(flow(layers, .unknown).1.isEmpty)
  }
}
