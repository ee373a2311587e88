import Checkpoint
import Testing

@testable import CheckpointFormats

/// Arrays that numpy, safetensors and h5py wrote, held against the same arrays as torch wrote them.
@Suite struct ArrayFilesTests {
  private static func read(_ name: String) throws(CheckpointError) -> Checkpoint {
    try read(fixture("arrays/\(name)"), like: name)
  }

  private static func read(_ path: String, like name: String) throws(CheckpointError) -> Checkpoint {
    if name.hasSuffix(".safetensors") { return try SafetensorsFile.read(path) }
    if name.hasSuffix(".h5") { return try HDF5Arrays.read(path) }
    return try NumPyFile.read(path)
  }

  private static func tensors(_ root: Value) throws -> [String: (DType, [Int], [UInt8])] {
    guard case .dict(let dict) = root else { return [:] }
    var result: [String: (DType, [Int], [UInt8])] = [:]
    for entry in dict.entries {
      guard case .string(let name) = entry.key, case .tensor(let tensor) = entry.value else { continue }
      var bytes: [UInt8] = []
      try tensor.source.forEachPiece(limit: 16) { bytes += $0 }
      result[name] = (tensor.dtype, tensor.shape, bytes)
    }
    return result
  }

  @Test(arguments: ["stored.npz", "deflated.npz", "foreign.npz", "arrays.safetensors", "arrays.h5"])
  func holdWhatTorchHolds(name: String) throws {
    let expected = try Self.tensors(try TorchZip.read(fixture("arrays/arrays.pt")).root)
    var found = try Self.tensors(try Self.read(name).root)
    if name == "arrays.h5" {
      let chunked = found.removeValue(forKey: "chunked")
      let floats = try #require(expected["floats"])
      #expect(try #require(chunked) == floats)
    }
    #expect(Set(found.keys) == Set(expected.keys))
    for (name, array) in expected {
      let other = try #require(found[name], "\(name)")
      #expect(other == array, "\(name)")
    }
  }

  @Test(arguments: [1, 2, 3]) func npyOfEachVersion(version: Int) throws {
    let expected = try #require(try Self.tensors(try TorchZip.read(fixture("arrays/arrays.pt")).root)["floats"])
    let root = try NumPyFile.read(fixture("arrays/version\(version).npy")).root
    let found = try Self.tensors(.dict(Dict([Dict.Entry(.string("a"), root)])))
    let array = try #require(found["a"])
    #expect(array == expected)
  }

  @Test func safetensorsMetadataIsKept() throws {
    guard case .dict(let dict) = try Self.read("arrays.safetensors").root,
      case .dict(let metadata)? = dict.attributes.first?.value, case .string(let text)? = metadata["made"]
    else { throw CheckpointError(.damaged, "no metadata") }
    #expect(text == "by hand")
  }

  /// A file that is cut short is refused when it is opened, or when the bytes that are gone are read: never a crash,
  /// never another content.
  @Test(arguments: ["stored.npz", "deflated.npz", "version1.npy", "arrays.safetensors"])
  func everyTruncationIsRefused(name: String) throws {
    let folder = TemporaryFolder()
    let whole = try readBytes(fixture("arrays/\(name)"))
    for length in stride(from: 0, to: whole.count, by: name.hasSuffix("npz") ? 7 : 1) {
      writeBytes(Array(whole[..<length]), to: folder.file("x"))
      #expect(throws: CheckpointError.self, "\(length) of \(whole.count) bytes") {
        _ = try Self.tensors(try Self.read(folder.file("x"), like: name).root)
      }
    }
  }

  /// A flipped bit may change a value or a name where the format has no checksum, but reading ends well or with an error.
  @Test(arguments: ["stored.npz", "version2.npy", "arrays.safetensors"])
  func everyFlipEndsWell(name: String) throws {
    let folder = TemporaryFolder()
    let whole = try readBytes(fixture("arrays/\(name)"))
    for index in stride(from: 0, to: whole.count, by: name.hasSuffix("npz") ? 5 : 1) {
      var bytes = whole
      bytes[index] ^= 1 << UInt8(index % 8)
      writeBytes(bytes, to: folder.file("x"))
      do {
        _ = try Self.tensors(try Self.read(folder.file("x"), like: name).root)
      } catch let error as CheckpointError {
        #expect(error.file != nil || name.hasSuffix("npz"), "\(error)")
      }
    }
  }

  @Test(
    arguments: [
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
        6
      ),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 9),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        8
      ),
      (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, 4),
      (#"{"a":{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}}"#, 4),
    ] as [(String, Int)])
  func safetensorsThatDoNotCoverTheirDataAreRefused(header: String, dataSize: Int) throws {
    let folder = TemporaryFolder()
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
    writeBytes(length + Array(header.utf8) + [UInt8](repeating: 0, count: dataSize), to: folder.file("x"))
    #expect(throws: CheckpointError.self) { _ = try SafetensorsFile.read(folder.file("x")) }
  }

  @Test(arguments: [
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "{'descr': '<f4', 'fortran_order': False}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "__import__('os')", "",
  ])
  func npyHeadersThatMakeNoSenseAreRefused(header: String) throws {
    let folder = TemporaryFolder()
    let start: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0]
    writeBytes(start + Array(header.utf8) + [0, 0, 0, 0], to: folder.file("x"))
    #expect(throws: CheckpointError.self) { _ = try NumPyFile.read(folder.file("x")) }
  }
}
