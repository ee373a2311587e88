import Testing
import Training

/// The Swift that the README shows, in public names alone.
@Suite struct ReadmeTests {
  @Test func aRunInALibrary() throws {
    let folder = try RunScratch()
    let generator = Generator(seed: 1)
    let model = Sequential(
      Flatten(), try Linear(64, 128, generator: generator), ReLU(), try Dropout(0.3),
      try Linear(128, 10, generator: generator))
    let data = try ArrayDataset(file: exampleFixture("digits-train.npz"), inputs: "x", targets: "y", kind: .labels)
    let optimizer = try AdamW(parameters: model.namedParameters(), lr: 1e-3)
    let trainer = try Trainer(
      model: model, loss: CrossEntropyLoss(), optimizer: optimizer, training: data,
      sampler: data.sampler(batch: 64, shuffle: true, seed: 1), generator: generator,
      options: RunOptions(steps: 100, folder: RunFolder(folder.path)))
    try trainer.run()
    #expect(folder.names == ["step-00000100.h5"])

    let batch = try data.batch([0, 1, 2])
    let loss = try crossEntropy(model(batch.inputs), batch.targets)
    optimizer.zeroGrad()
    try loss.backward()
    try optimizer.step()
    #expect(try loss.item() < 1)
  }
}
