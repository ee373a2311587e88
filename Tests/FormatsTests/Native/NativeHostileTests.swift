import Checkpoint
import Testing

@testable import CheckpointFormats

/// Files that break one rule each, made by `fixtures/make_hostile.py` with h5py. SEC-1 to SEC-9.
@Suite struct NativeHostileTests {
  static let rules: [(file: String, words: String)] = [
    ("hdf5_external_link", "external link"),  // SEC-1
    ("hdf5_soft_link", "soft link"), ("hdf5_dangling_soft_link", "soft link"), ("hdf5_root_soft_link", "soft link"),
    ("hdf5_cyclic_group", "linked more than once"), ("hdf5_cyclic_root", "linked more than once"),  // SEC-2
    ("hdf5_group_bomb", "linked more than once"),
    ("hdf5_external_storage", "other file"), ("hdf5_virtual_dataset", "virtual"),  // SEC-3
    ("hdf5_late_allocation", "are stored"), ("hdf5_many_late_allocations", "are stored"),  // SEC-4, SEC-9
    ("hdf5_extensible", "deflate"), ("hdf5_sparse_chunks", "deflate"), ("hdf5_deflate_bomb", "deflate"),  // SEC-5
    ("hdf5_deflate_bomb_once", "deflate"), ("hdf5_unknown_filter", "filter 32015"),
    ("hdf5_scaleoffset_filter", "filter 6"), ("hdf5_deflate_garbage", ""),
    ("hdf5_vlen_strings", "variable-length"), ("hdf5_vlen_floats", "not allowed"),  // SEC-7
    ("hdf5_object_references", "not allowed"), ("hdf5_region_references", "not allowed"),
    ("hdf5_array_type", "not allowed"), ("hdf5_compound", "not allowed"),
    ("hdf5_named_datatype", "no group and no dataset"),
    ("hdf5_userblock", "user block"),  // SEC-8
    ("hdf5_deep_nesting", "levels deep"),  // LIM-1
    ("hdf5_dtype_contradicts", "is stored as"), ("hdf5_dtype_unknown", "not known"),
    ("hdf5_encoding_unknown", "not known"), ("hdf5_required_feature", "requires the feature"),  // ROOT-5, VER-2
    ("hdf5_version_2", "format_version is 2.0"),  // VER-1
  ]

  @Test(arguments: rules) func isRefused(file: String, words: String) throws {
    let path = fixture("hostile/\(file).h5")
    let error = #expect(throws: CheckpointError.self) {
      // Content that only a look at the bytes shows is refused when it is read.
      _ = try ContentDigest.compute(try NativeFormat.read(path).root)
    }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "nothing")")
    #expect([.damaged, .unsupported].contains(error?.code))
    let verified = try? NativeFormat.verify(path)
    #expect(verified?.isSound != true)
  }
}

/// A file of the folder `fixtures` at the top of the repository.
func fixture(_ name: String, _ here: String = #filePath) -> String {
  var parts = here.split(separator: "/", omittingEmptySubsequences: false)
  while let last = parts.popLast(), last != "Tests" {}
  return parts.joined(separator: "/") + "/fixtures/" + name
}
