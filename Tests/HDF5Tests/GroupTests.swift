import HDF5
import Testing

@Suite struct GroupTests {
  @Test func linksComeInOrderOfCreation() throws {
    let scratch = try Scratch()
    let names = ["b", "a", "layer.10", "layer.2", "%", "..", "ü", "a b"] + (0..<30).map { "n\(30 - $0)" }
    do {
      let file = try File.create(scratch.path())
      let root = try file.root()
      for name in names { _ = try root.createGroup(name) }
      try file.close()
    }
    let file = try File.open(scratch.path(), .readOnly)
    let root = try file.root()
    let links = try root.links()
    #expect(links.map(\.name) == names)
    #expect(links.allSatisfy { $0.kind == .hard && $0.object?.kind == .group && $0.object?.referenceCount == 1 })
    let count = try root.linkCount
    #expect(count == names.count)
    let quick = try root.links(objects: false)
    #expect(quick.map(\.name) == names)
    #expect(quick.allSatisfy { $0.object == nil })
    #expect(quick.map(\.address) == links.map { $0.object?.address })
  }

  @Test func hardLinksShareTheAddress() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    let group = try root.createGroup("a b%.c")
    let dataset = try group.createDataset("w.ü", type: .float32, shape: .simple([3]))
    try dataset.write([1.0, 2.0, 3.0] as [Float])
    try root.createHardLink("tied", to: "/a b%.c/w.ü")
    let links = try root.links()
    let inner = try group.links()
    #expect(links[1].object == inner[0].object)
    #expect(links[1].object?.referenceCount == 2)
    let info = try root.openDataset("tied").objectInfo()
    #expect(info == links[1].object)
    let offset = try dataset.offset
    let tied = try root.openDataset("tied").offset
    #expect(tied == offset)
    try root.remove("tied")
    let left = try group.links()[0].object?.referenceCount
    #expect(left == 1)
  }

  @Test func hardLinksThatCannotBeAreRefused() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    _ = try root.createGroup("g")
    for path in ["", "g", "/", "//g", "/./g", "/g/", "/\0"] {
      #expect(throws: HDF5Error.self) { try root.createHardLink("x", to: path) }
    }
    #expect(try failure { () throws(HDF5Error) in try root.createHardLink("x", to: "/gone") }.kind == .notFound)
    #expect(try failure { () throws(HDF5Error) in try root.createHardLink("g", to: "/g") }.kind == .exists)
  }

  @Test(arguments: ["", ".", "/", "a/b", "/a", "a/", "a\0b"])
  func namesThatAreNotOneLinkAreRefused(_ name: String) throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    _ = try root.createGroup("a").createGroup("b")
    #expect(throws: HDF5Error.self) { _ = try root.createGroup(name) }
    #expect(throws: HDF5Error.self) { _ = try root.openGroup(name) }
    #expect(throws: HDF5Error.self) { _ = try root.openDataset(name) }
    #expect(throws: HDF5Error.self) { _ = try root.createDataset(name, type: .int8, shape: .scalar) }
    #expect(throws: HDF5Error.self) { _ = try root.exists(name) }
    #expect(throws: HDF5Error.self) { try root.remove(name) }
    #expect(throws: HDF5Error.self) { try root.createHardLink(name, to: "/a") }
    let links = try root.links().map(\.name)
    #expect(links == ["a"])
  }

  @Test func existsAndRemove() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    _ = try root.createGroup("g")
    #expect(try root.exists("g") == true)
    #expect(try root.exists("h") == false)
    try root.remove("g")
    #expect(try root.exists("g") == false)
    let gone = try failure { () throws(HDF5Error) in try root.remove("g") }
    #expect(gone.kind == .notFound, "\(gone)")
  }

  @Test func aMissingOrWrongObjectIsAnError() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    let group = try root.createGroup("g")
    _ = try group.createDataset("d", type: .int8, shape: .scalar)
    let missing = try failure { () throws(HDF5Error) in _ = try group.openDataset("gone") }
    #expect(missing.kind == .notFound)
    #expect(missing.path == "/g/gone")
    #expect(missing.description == "\(scratch.path()): /g/gone: cannot open dataset: there is no such object")
    #expect(throws: HDF5Error.self) { _ = try group.openGroup("d") }
    #expect(throws: HDF5Error.self) { _ = try root.openDataset("g") }
  }

  @Test func tenThousandLinksAreListed() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    for index in 0..<10_000 { _ = try root.createDataset("layer.\(index)", type: .float32, shape: .simple([1])) }
    let names = try root.links(objects: false)
    #expect(names.count == 10_000 && names.last?.name == "layer.9999")
    let full = try root.links()
    #expect(full.count == 10_000 && full.allSatisfy { $0.object?.kind == .dataset })
  }
}
