import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A hand-made folder of ZeRO-2 or 3 on two ranks, with all that it claims open to lies. Its parameters are `w` [2, 2]
/// and `b` [3], counted from 0; the moments are the same numbers.
private struct Builder {
  var latest = "global_step7"
  var stage = 2
  var worlds: [Int64] = [2, 2]
  var steps: [Double] = [7, 7]
  var ranks: [[Float]]
  var moments: [[Float]]
  var shapes: [(String, [Int64])] = [("w", [2, 2]), ("b", [3])]
  var files = [
    "mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt",
    "zero_pp_rank_1_mp_rank_00_optim_states.pt",
  ]
  var left: Set<String> = []
  var paddings: [[Int64]]?
  /// Whether the module has `tied`, which is `w`.
  var isTied = false
  var roots: [String: Value] = [:]

  init(stage: Int = 2) {
    self.stage = stage
    // Under ZeRO-3 `b` is padded to four.
    ranks = stage == 3 ? [[0, 1, 4, 5], [2, 3, 6, 99]] : [[0, 1, 2, 3], [4, 5, 6]]
    moments = stage == 3 ? ranks : [[0, 1, 2, 3], [4, 5, 6, 99]]
  }

  private func row(_ numbers: [Float]) throws -> Value {
    .tensor(try Tensor(dtype: .float32, shape: [numbers.count], source: BufferSource(elements: numbers)))
  }

  private static func dict(_ entries: (String, Value)...) -> Value {
    .dict(Dict(entries.map { Dict.Entry(.string($0.0), $0.1) }))
  }

  private func optimizer(_ rank: Int) throws -> Value {
    let slots = Self.dict(
      ("step", .double(steps[rank])), ("exp_avg", try row(moments[rank])), ("exp_avg_sq", try row(moments[rank])))
    let group = Self.dict(("lr", .double(0.5)), ("params", .sequence(.list, [.int(0)])))
    let base = Self.dict(
      ("state", .dict(Dict([Dict.Entry(.int(0), slots)]))), ("param_groups", .sequence(.list, [group])))
    let inner = Self.dict(
      ("zero_stage", .int(Int64(stage))), ("partition_count", .int(worlds[rank])),
      (stage == 3 ? "optimizer_state_dict" : "base_optimizer_state", base),
      (stage == 3 ? "fp32_flat_groups" : "single_partition_of_fp32_groups", .sequence(.list, [try row(ranks[rank])])))
    guard let paddings, case .dict(var dict) = inner else { return Self.dict(("optimizer_state_dict", inner)) }
    let lists = paddings.map { Value.sequence(.list, $0.map { .int($0) }) }
    dict.entries.append(Dict.Entry(.string("param_alignment_paddings"), .sequence(.list, lists)))
    return Self.dict(("optimizer_state_dict", .dict(dict)))
  }

  private func model() throws -> Value {
    let w = try Tensor(dtype: .float32, shape: [2, 2], source: BufferSource(elements: [Float](repeating: 0, count: 4)))
    let empty = try Tensor(dtype: .float32, shape: [0], source: BufferSource([]))
    let b = try Tensor(dtype: .float32, shape: [3], source: BufferSource(elements: [Float](repeating: 0, count: 3)))
    var module = Dict([
      Dict.Entry(.string("w"), .tensor(stage == 3 ? empty : w)),
      Dict.Entry(.string("b"), .tensor(stage == 3 ? empty : b)),
    ])
    if isTied { module.entries.append(Dict.Entry(.string("tied"), .tensor(empty))) }
    return Self.dict(
      ("module", .dict(module)),
      ("shared_params", isTied ? Self.dict(("tied", .string("w"))) : .none),
      ("param_shapes", .sequence(.list, [.dict(Dict(shapes.map { Dict.Entry(.string($0.0), .size($0.1)) }))])),
      ("global_steps", .int(7)))
  }

  func folder() throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    writeBytes(Array(latest.utf8), to: folder.file("latest"))
    mkdir(folder.file("global_step7"), 0o755)
    for name in files where !left.contains(name) {
      let parsed = DeepSpeedFile(name)
      let root =
        try roots[name] ?? (parsed?.kind == .optimizer ? optimizer(min(parsed?.rank ?? 0, 1)) : model())
      _ = try TorchZip.write(root, to: folder.file("global_step7/\(name)"))
    }
    return folder
  }
}

@Suite struct DeepSpeedHostileTests {
  private static let model = "mp_rank_00_model_states.pt"
  private static let second = "zero_pp_rank_1_mp_rank_00_optim_states.pt"

  /// Reading fails, and `verify` tells the same.
  private func refused(
    _ words: String..., code: CheckpointError.Code = .damaged, stage: Int = 2, change: (inout Builder) -> Void
  ) throws {
    var builder = Builder(stage: stage)
    if stage == 3 {
      builder.files[0] = "zero_pp_rank_0_mp_rank_00_model_states.pt"
      builder.files.append("zero_pp_rank_1_mp_rank_00_model_states.pt")
    }
    change(&builder)
    try refused(builder.folder(), words, code)
  }

  private func refused(_ folder: TemporaryFolder, _ words: [String], _ code: CheckpointError.Code = .damaged) throws {
    let error = #expect(throws: CheckpointError.self) { try readFolder(folder.path) }
    #expect(error?.code == code)
    let told = [error?.file, error?.place, error?.message].compactMap { $0 }.joined(separator: ": ")
    for word in words { #expect(told.contains(word), "\(told)") }
    let problems = try Format.deepSpeed.verify(folder.path).problems
    #expect(problems.contains { problem in words.allSatisfy { "\(problem.place): \(problem.what)".contains($0) } })
  }

  @Test(arguments: [2, 3]) func theBuilderMakesSoundFolders(_ stage: Int) throws {
    var builder = Builder(stage: stage)
    if stage == 3 {
      builder.files[0] = "zero_pp_rank_0_mp_rank_00_model_states.pt"
      builder.files.append("zero_pp_rank_1_mp_rank_00_model_states.pt")
    }
    let folder = try builder.folder()
    guard case .dict(let root) = try readFolder(folder.path), let value = root["optimizer"],
      let optimizer = OptimizerState(value), case .tensor(let b)? = optimizer.slot("exp_avg", of: .string("b")),
      case .dict(let model)? = root["model"], case .tensor(let w)? = model["w"]
    else { return #expect(Bool(false)) }
    #expect(try b.elements(as: Float.self) == [4, 5, 6])
    #expect(try w.elements(as: Float.self) == (stage == 3 ? [0, 1, 2, 3] : [0, 0, 0, 0]))
    #expect(try Format.deepSpeed.verify(folder.path).isSound)
  }

  /// Since DeepSpeed 0.18 a row may have gaps.
  @Test func gapsBetweenParametersAreLeftOut() throws {
    var builder = Builder()
    builder.paddings = [[1, 0]]
    builder.ranks = [[0, 1, 2, 3], [99, 4, 5, 6]]
    builder.moments = builder.ranks
    let folder = try builder.folder()
    guard case .dict(let root) = try readFolder(folder.path),
      let optimizer = root["optimizer"].flatMap({ OptimizerState($0) }),
      case .tensor(let b)? = optimizer.slot("exp_avg", of: .string("b"))
    else { return #expect(Bool(false)) }
    #expect(try b.elements(as: Float.self) == [4, 5, 6])
    try refused("param_alignment_paddings") { $0.paddings = [[1]] }
    try refused("param_alignment_paddings") { $0.paddings = [[-1, 0]] }
    try refused("w", "a padding of 9223372036854775807") { $0.paddings = [[Int64.max, 0]] }
  }

  @Test func tiesStayTies() throws {
    var builder = Builder(stage: 3)
    builder.files[0] = "zero_pp_rank_0_mp_rank_00_model_states.pt"
    builder.files.append("zero_pp_rank_1_mp_rank_00_model_states.pt")
    builder.isTied = true
    let folder = try builder.folder()
    guard case .dict(let root) = try readFolder(folder.path), case .dict(let model)? = root["model"],
      case .tensor(let w)? = model["w"], case .tensor(let tied)? = model["tied"]
    else { return #expect(Bool(false)) }
    #expect(w.isTied(to: tied) && tied.shape == [2, 2])
  }

  // MARK: - Ranks

  @Test func aMissingRankIsNamed() throws {
    try refused("the optimizer's file of rank 1 is missing") { $0.left = [Self.second] }
    try refused("the optimizer's file of rank 0 is missing") { $0.left = [$0.files[1]] }
    try refused("the model's file of rank 0 is missing", stage: 3) { $0.left = [$0.files[0]] }
    try refused("mp_rank_00_model_states.pt is missing") { $0.left = [$0.files[0]] }
    try refused("the optimizer's files", "missing") { $0.left = [$0.files[1], $0.files[2]] }
  }

  @Test func tooManyRanksAreRefused() throws {
    try refused("files of 3 ranks", "there are 2") { $0.files.append("zero_pp_rank_2_mp_rank_00_optim_states.pt") }
    try refused("a second file of the optimizer of rank 1") { $0.files.append("bf16_\(Self.second)") }
    try refused(Self.second, "says that there are 1") { $0.worlds[1] = 1 }
    try refused("no number of ranks") { $0.worlds[0] = -1 }
  }

  @Test func ranksOfSeveralStepsAreRefused() throws {
    try refused(Self.second, "is of step 8, rank 0's of step 7") { $0.steps[1] = 8 }
  }

  @Test func tensorParallelIsRefused() throws {
    try refused("mp_rank_01_model_states.pt", "tensor parallel", code: .unsupported) {
      $0.files.append("mp_rank_01_model_states.pt")
    }
  }

  // MARK: - Sizes

  @Test func aShortPartitionIsNamedWithTheParameter() throws {
    try refused(Self.second, "b", "too short: 6 elements of fp32 weights in all ranks; the parameter ends at 7") {
      $0.ranks[1].removeLast()
    }
    try refused(Self.second, "b", "exp_avg", "too short") { $0.moments[1].removeLast(2) }
    try refused(Self.second, "b", "too short: 3 elements", stage: 3) { $0.ranks[1].removeLast() }
    try refused("zero_pp_rank_1", "3 elements of fp32 weights in group 0; the other ranks have 2") {
      $0.ranks = [[0, 1], [2, 3, 4]]
    }
  }

  @Test func partitionsWithMoreThanPaddingAreRefused() throws {
    try refused("12 elements", "its parameters take 7") {
      $0.ranks = [[0, 1, 2, 3, 4, 5], [6, 0, 0, 0, 0, 0]]
    }
    try refused(Self.second, "5 elements", "its parameters take 4", stage: 3) { $0.ranks[1].append(0) }
  }

  @Test func sizesThatOverflowAreRefused() throws {
    try refused("param_shapes.b", "no size, or too large") { $0.shapes[1].1 = [Int64.max, 2] }
    try refused("param_shapes.b", "no size, or too large") { $0.shapes[1].1 = [-3] }
    try refused("b", "too short") { $0.shapes[1].1 = [Int64.max / 128] }
    try refused("b", "too short", stage: 3) { $0.shapes[1].1 = [Int64.max / 128] }
  }

  @Test func shapesThatAreNotTheModulesAreRefused() throws {
    try refused("param_shapes.b", "shape [3, 1]; the module's parameter has [3]") { $0.shapes[1].1 = [3, 1] }
    try refused("param_shapes.c", "the module has no such parameter") { $0.shapes[1].0 = "c" }
    try refused("module", "in none of the ranks' files", stage: 3) {
      $0.shapes.removeLast()
      $0.ranks = [[0, 1], [2, 3]]
      $0.moments = $0.ranks
    }
  }

  // MARK: - Contents

  @Test func aStateThatIsNoDictionaryIsRefused() throws {
    try refused(Self.model, "no dictionary") { $0.roots[Self.model] = .int(3) }
    try refused(Self.model, "no dictionary module") { $0.roots[Self.model] = .dict(Dict()) }
    try refused(Self.second, "no dictionary") { $0.roots[Self.second] = .sequence(.list, []) }
    try refused(Self.second, "no dictionary optimizer_state_dict") {
      $0.roots[Self.second] = .dict(Dict([Dict.Entry(.string("optimizer_state_dict"), .none)]))
    }
  }

  // MARK: - Names

  @Test(arguments: ["../global_step7", "/etc", "global_step7/../..", "."])
  func latestNamesNothingElsewhere(_ name: String) throws {
    try refused("latest", "which is no folder inside this one") { $0.latest = name }
  }

  @Test func latestNamesWhatIsThere() throws {
    try refused("latest", "'gone', which is not there") { $0.latest = "gone" }
  }

  @Test func aLinkOutOfTheFolderIsNotFollowed() throws {
    let other = try Builder().folder()
    var builder = Builder()
    builder.latest = "linked"
    let folder = try builder.folder()
    #expect(symlink(other.file("global_step7"), folder.file("linked")) == 0)
    try refused(folder, ["a link that leads out of the folder"])

    let second = try Builder().folder()
    let file = second.file("global_step7/\(Self.model)")
    #expect(unlink(file) == 0)
    #expect(symlink(other.file("global_step7/\(Self.model)"), file) == 0)
    try refused(second, ["a link that leads out of the folder"])
  }
}
