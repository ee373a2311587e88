public import Checkpoint

extension TorchZip {
  /// What a check of a whole file found.
  public struct Verification: Sendable {
    public struct Problem: Sendable {
      /// A record, an offset, a path in the tree.
      public var place: String
      public var message: String
    }

    /// What was checked, in words.
    public var checked: [String] = []
    /// Empty when all is well.
    public var problems: [Problem] = []
    /// What is odd but no damage.
    public var warnings: [String] = []
  }

  /// Checks everything that can be checked: the archive's structure, the pickle, every tensor's bounds, and each
  /// record's CRC-32 where the file records them.
  ///
  /// - Throws: `missing`, `inputOutput` when the file cannot be read at all; damage is what it returns.
  public static func verify(_ path: String) throws(CheckpointError) -> Verification {
    var result = Verification()
    do throws(CheckpointError) {
      let archive = try TorchArchive(path, verify: true)
      result.checked.append("structure: \(archive.zip.entries.count) records, none overlapping")
      checkRecords(archive, &result)
      // A pickle that is known to be damaged was reported by its record.
      if result.problems.contains(where: { $0.place == "record data.pkl" }) { return result }
      let checkpoint = try archive.read()
      result.checked.append("pickle and the bounds of every tensor")
      result.warnings += checkpoint.warnings
    } catch {
      switch error.code {
      case .damaged, .unsupported: result.problems.append(.init(place: error.place ?? "file", message: error.message))
      default: throw error
      }
    }
    return result
  }

  private static func checkRecords(_ archive: TorchArchive, _ result: inout Verification) {
    for entry in archive.zip.entries {
      do throws(CheckpointError) {
        // A record without a checksum still has to inflate.
        try archive.zip.source(entry, verify: true).forEachPiece(limit: 1 << 20) { _ throws(CheckpointError) in }
      } catch {
        result.problems.append(.init(place: "record \(entry.name)", message: error.message))
      }
    }
    if archive.zip.hasChecksums {
      result.checked.append("CRC-32 of \(archive.zip.entries.count) records")
    } else {
      result.warnings.append("the file records no checksums (torch.serialization.set_crc32_options(False))")
    }
  }
}
