import Checkpoint
import CheckpointFormats
import Testing

@testable import Training

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Sections 4 to 6 of `spec/training-runs.md`: a run that is stopped is the run that was not.
@Suite(.serialized) struct RunResumeTests {
  /// For runs whose files do not matter. It lives as long as the test.
  private let anywhere: RunScratch

  init() throws { anywhere = try RunScratch() }

  private func stored(_ folder: RunScratch, _ step: Int) throws -> Value {
    try NativeFormat.read(RunFolder(folder.path).file(ofStep: step)).root
  }

  private func fileDigest(_ folder: RunScratch, _ step: Int) throws -> String {
    try ContentDigest.compute(try stored(folder, step)).hex
  }

  /// RUN-17: at every step, the middle of an epoch, of a warm-up and of an accumulation's epoch included.
  @Test func aRunStoppedAnywhereEndsWithTheSameBits() throws {
    let whole = try RunScratch()
    try SmallRun().trainer(whole).run()
    let expected = try fileDigest(whole, 24)
    for stop in 1..<24 {
      let folder = try RunScratch()
      try SmallRun().trainer(folder, stopAt: stop).run()
      let resumed = try SmallRun().trainer(folder)
      try resumed.restore(try stored(folder, stop))
      #expect(resumed.step == stop)
      try resumed.run()
      #expect(try fileDigest(folder, 24) == expected, "stopped at \(stop)")
    }
  }

  /// RUN-17: other thread counts.
  @Test func theNumberOfThreadsDoesNotCount() throws {
    let before = Threads.count
    defer { Threads.count = before }
    let digests = try [1, 2, 3].map { threads in
      Threads.count = threads
      let trainer = try SmallRun().trainer(anywhere)
      try trainer.run()
      return try trainer.digest()
    }
    #expect(Set(digests).count == 1)
  }

  /// What would make a test of equality worthless: runs that differ have other digests.
  @Test func otherRunsHaveOtherDigests() throws {
    func digest(_ change: (inout SmallRun) -> Void) throws -> String {
      var run = SmallRun()
      change(&run)
      let trainer = try run.trainer(anywhere)
      try trainer.run()
      return try trainer.digest()
    }
    let digests = try [
      digest { _ in }, digest { $0.seed = 8 }, digest { $0.dropout = 0.26 }, digest { $0.shuffle = false },
      digest { $0.lr = 0.011 }, digest { $0.ema = 0.91 }, digest { $0.steps = 23 },
    ]
    #expect(Set(digests).count == digests.count)
  }

  /// RUN-18: names, and which file is taken.
  @Test func theNewestSoundFileIsTaken() throws {
    let scratch = try RunScratch()
    try SmallRun().trainer(scratch).run()
    #expect(scratch.names == ["step-00000010.h5", "step-00000020.h5", "step-00000024.h5"])
    #expect(RunFolder("x").file(ofStep: 123_456_789) == "x/step-123456789.h5")
    let folder = RunFolder(scratch.path)
    #expect(try folder.newest().step == 24)
    try flip(folder.file(ofStep: 24))
    let (step, passedOver) = try folder.newest()
    #expect(step == 20)
    #expect(passedOver.map(\.file) == [folder.file(ofStep: 24)])
    #expect(passedOver.allSatisfy { !$0.reason.isEmpty })
  }

  /// RUN-19: another name, which continuing does not see.
  @Test func aDivergedRunLeavesAFileThatIsNeverPicked() throws {
    let scratch = try RunScratch()
    var run = SmallRun()
    run.lr = 1e30
    run.schedule = ConstantSchedule()
    let ending = try run.trainer(scratch).run()
    guard case .diverged(let step, _, let file) = ending else { throw CheckpointError(.damaged, "\(ending)") }
    #expect(file == "\(scratch.path)/failed-\(RunFolder.name(ofStep: step))")
    #expect(scratch.names.contains("failed-\(RunFolder.name(ofStep: step))"))
    #expect(try RunFolder(scratch.path).newest().step == nil)
    #expect(try NativeFormat.verify(file).problems.isEmpty)
  }

  /// RUN-20: as many as are to stay, and the older ones only once the newer is there.
  @Test func oldFilesGo() throws {
    let scratch = try RunScratch()
    var run = SmallRun()
    run.every = 4
    run.keep = 2
    try run.trainer(scratch).run()
    #expect(scratch.names == ["step-00000020.h5", "step-00000024.h5"])
  }

  /// RUN-21: a tree without `training` goes on at the optimizer's step, with the batches that come then.
  @Test func aCheckpointOfPyTorchGoesOnAtItsStep() throws {
    func run() -> SmallRun {
      var run = SmallRun()
      run.dropout = 0
      run.ema = nil
      run.hasValidation = false
      run.schedule = ConstantSchedule()
      return run
    }
    let whole = try run().trainer(anywhere)
    try whole.run()
    let first = try run().trainer(anywhere, stopAt: 9)
    try first.run()
    guard case .dict(var tree) = try first.snapshot() else { throw CheckpointError(.damaged, "no dict") }
    tree.entries.removeAll { $0.key == .string("training") }
    let resumed = try run().trainer(anywhere)
    let report = try resumed.restore(.dict(tree))
    #expect(resumed.step == 9 && !report.notes.isEmpty)
    try resumed.run()
    #expect(whole.parameters.map(\.values) == resumed.parameters.map(\.values))
    #expect(resumed.sampler.progress == whole.sampler.progress)
  }

  /// RUN-21: one report, and nothing is touched.
  @Test func whatDoesNotFitIsRefusedWhole() throws {
    let trainer = try SmallRun().trainer(anywhere, stopAt: 3)
    try trainer.run()
    guard case .dict(var tree) = try trainer.snapshot(), case .dict(var model) = tree["model"] ?? .none else {
      throw CheckpointError(.damaged, "no dict")
    }
    model.entries.removeAll { $0.key == .string("4.bias") }
    model.entries[0].value = .tensor(try tensor([Float](repeating: 0, count: 12), .float32, [3, 4]))
    model.entries.append(Dict.Entry(.string("extra"), model.entries[1].value))
    tree.entries[0].value = .dict(model)
    tree.entries[1].value = .dict(try withoutState(tree["optimizer"] ?? .none, of: 2))
    let other = try SmallRun().trainer(anywhere, stopAt: 1)
    try other.run()
    let before = try other.digest()
    let error = #expect(throws: CheckpointError.self) { try other.restore(.dict(tree)) }
    for word in ["4.bias", "0.weight", "extra", "1.weight"] {
      #expect(error?.message.contains(word) == true, "\(word) in \(error?.message ?? "")")
    }
    #expect(try other.digest() == before)
  }

  private func withoutState(_ optimizer: Value, of id: Int64) throws -> Dict {
    guard case .dict(var dict) = optimizer, case .dict(var state) = dict["state"] ?? .none else {
      throw CheckpointError(.damaged, "no state")
    }
    state.entries.removeAll { $0.key == .int(id) }
    dict.entries[0].value = .dict(state)
    return dict
  }

  private func flip(_ path: String) throws {
    let mapped = try MappedFile(path)
    var bytes = withExtendedLifetime(mapped) { Array(mapped.bytes) }
    bytes[bytes.count / 2] ^= 1
    guard let file = fopen(path, "w") else { throw CheckpointError(.cannotCreate, "cannot write", file: path) }
    defer { fclose(file) }
    _ = fwrite(bytes, 1, bytes.count, file)
  }
}
