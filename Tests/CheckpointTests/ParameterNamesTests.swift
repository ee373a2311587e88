import Checkpoint
import Testing

@Suite struct ParameterNamesTests {
  private func names(_ root: Value) -> [[String]] { ParameterNames.resolve(in: root).map(\.names.names) }

  @Test func modelInOrder() throws {
    let root = Make.dict([
      "model": try Make.model(["a.weight": [3, 2], "a.running_mean": [3], "a.bias": [3]]),
      "optimizer": try Make.adam([[[3, 2], nil]]),
    ])
    let found = ParameterNames.resolve(in: root)[0].names
    #expect(found.names == ["a.weight", "a.bias"])
    #expect(found.isComplete && found.warnings.isEmpty)
    #expect(found.model?.text == "model")
  }

  @Test func paramNamesComeFirst() throws {
    let group = Make.dict([
      "params": .sequence(.list, [.int(0)]), "param_names": .sequence(.list, [.string("x.y")]),
    ])
    let root = Make.dict([
      "model": try Make.model(["w": [1]]),
      "optimizer": Make.dict(["state": Make.dict([:]), "param_groups": .sequence(.list, [group])]),
    ])
    #expect(names(root) == [["x.y"]])
  }

  @Test func decaySplitIsDealt() throws {
    let root = Make.dict([
      "model": try Make.model([
        "a.weight": [4, 2], "a.bias": [4], "b.weight": [2, 4], "b.bias": [2], "ln.weight": [2],
      ]),
      "optimizer": try Make.adam([[[4, 2], [2, 4]], [[4], [2], [2]]]),
    ])
    let found = ParameterNames.resolve(in: root)[0].names
    #expect(found.names == ["a.weight", "b.weight", "a.bias", "b.bias", "ln.weight"])
    #expect(found.isComplete && found.warnings.isEmpty)
  }

  @Test func equalShapesInTwoGroupsAreNotGuessed() throws {
    let root = Make.dict([
      "model": try Make.model(["first": [9], "a": [4], "b": [4], "c": [5, 5]]),
      "optimizer": try Make.adam([[[4], [5, 5]], [[9], [4]]]),
    ])
    let found = ParameterNames.resolve(in: root)[0].names
    #expect(found.names == ["param.0", "c", "first", "param.3"])
    #expect(found.warnings.first?.contains("ids 0, 3") == true)
  }

  @Test func severalGroupsWithoutStateAreNotGuessed() throws {
    let root = Make.dict([
      "model": try Make.model(["a": [4], "b": [4, 4]]), "optimizer": try Make.adam([[nil], [nil]]),
    ])
    #expect(names(root) == [["param.0", "param.1"]])
  }

  @Test func groupsThatFollowSortedNames() throws {
    let root = Make.dict([
      "model": try Make.model(["z.weight": [4, 2], "z.bias": [7], "a.weight": [2, 4], "a.bias": [2]]),
      "optimizer": try Make.adam([[[2, 4], [4, 2]], [[2], [7]]]),
    ])
    #expect(names(root) == [["a.weight", "z.weight", "a.bias", "z.bias"]])
  }

  @Test func ganIsToldByShapes() throws {
    let root = Make.dict([
      "netG": try Make.model(["g": [4, 2]]), "netD": try Make.model(["d": [2, 2]]),
      "optimizerD": try Make.adam([[[2, 2]]]), "optimizerG": try Make.adam([[[4, 2]]]),
    ])
    #expect(names(root) == [["d"], ["g"]])
  }

  @Test func equalModelsAreToldByTheirNames() throws {
    let root = Make.dict([
      "netG": try Make.model(["g": [2, 2]]), "netD": try Make.model(["d": [2, 2]]),
      "optimizerD": try Make.adam([[[2, 2]]]), "optimizerG": try Make.adam([[[2, 2]]]),
      "other": try Make.adam([[[2, 2]]]),
    ])
    #expect(names(root) == [["d"], ["g"], ["param.0"]])
  }

  @Test func partsOfOneStateDict() throws {
    let model = try Make.model(["generator.w": [4, 2], "discriminator.w": [2, 2]])
    let states = Value.sequence(.list, [try Make.adam([[[4, 2]]]), try Make.adam([[[2, 2]]])])
    let root = Make.dict(["state_dict": model, "optimizer_states": states])
    #expect(names(root) == [["generator.w"], ["discriminator.w"]])
  }

  @Test func twoOptimizersShareOneModel() throws {
    let root = Make.dict([
      "model": try Make.model(["a.weight": [4, 2], "a.bias": [4], "b.weight": [2, 4], "b.bias": [2]]),
      "muon": try Make.adam([[[4, 2], [2, 4]]]), "adamw": try Make.adam([[[4], [2]]]),
    ])
    #expect(names(root) == [["a.weight", "b.weight"], ["a.bias", "b.bias"]])
  }

  @Test func withoutAModelTheIdsAreNamed() throws {
    let found = ParameterNames.resolve(in: try Make.adam([[[1], [1], [1]]]))[0].names
    #expect(found.names == ["param.0", "param.1", "param.2"])
    #expect(found.warnings.first?.contains("ids 0-2") == true)
  }

  @Test func tenThousandParametersAreNamed() throws {
    var model: [Dict.Entry] = []
    var decay: [[Int]?] = []
    var rest: [[Int]?] = []
    for index in 0..<5000 {
      model.append(Dict.Entry(.string("l.\(index).weight"), .tensor(try Make.tensor([2, 1 + index % 3]))))
      model.append(Dict.Entry(.string("l.\(index).bias"), .tensor(try Make.tensor([2]))))
      decay.append([2, 1 + index % 3])
      rest.append([2])
    }
    let root = Make.dict(["model": .dict(Dict(model)), "optimizer": try Make.adam([decay, rest])])
    let found = ParameterNames.resolve(in: root).first?.names
    #expect(found?.isComplete == true)
    #expect(found?.names[5000] == "l.0.bias")
  }
}
