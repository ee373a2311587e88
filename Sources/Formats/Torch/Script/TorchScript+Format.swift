import Checkpoint

extension Format {
  /// `torch.jit.save`: a program and its weights. The weights are read.
  static let torchScript = Format(
    kind: .pt, id: "torchscript", name: "TorchScript archive",
    recognises: { start in TorchArchive.isScript(start) }, read: torchZip.read, write: nil, verify: torchZip.verify)
}

extension TorchArchive {
  /// How much of the end of a file is searched for the name of the record that tells. What is missed by that is read
  /// all the same, under the other format's name.
  private static let tail = 1 << 16

  static func isScript(_ start: FileStart) -> Bool {
    guard !start.isFolder, TorchZip.recognises(start.bytes), let file = try? MappedFile(start.path) else {
      return false
    }
    return withExtendedLifetime(file) {
      let end = UnsafeRawBufferPointer(rebasing: file.bytes.suffix(tail))
      guard end.contains("/constants.pkl"), let zip = try? ZipArchive(file) else { return false }
      return zip.entry("constants.pkl") != nil
    }
  }

  /// What `constants.pkl` holds: tensors and values that the program names by number.
  func readConstants(_ entry: ZipEntry) throws(CheckpointError) -> Value {
    var constants = Value.none
    try zip.source(entry, verify: verify).withBytes { (bytes) throws(CheckpointError) in
      do throws(CheckpointError) {
        let (pickle, _) = try PickleMachine.run(bytes, limits: .init(bytesInFile: entry.payload.count))
        let storages = TorchStorages(
          ZipStorages(archive: zip, verify: verify, folder: "constants"), bigEndian: isBigEndian, salvages: salvages)
        var tree = try TorchTree(pickle, bytes: bytes, storages: storages)
        constants = try tree.root()
      } catch {
        throw error.at("record constants.pkl")
      }
    }
    return constants
  }
}

extension UnsafeRawBufferPointer {
  /// Whether a text is somewhere in the bytes.
  fileprivate func contains(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { wanted in
      guard let first = wanted.first, count >= wanted.count else { return false }
      var from = startIndex
      while let at = self[from..<(count - wanted.count + 1)].firstIndex(of: first) {
        if self[at..<(at + wanted.count)].elementsEqual(wanted) { return true }
        from = at + 1
      }
      return false
    }
  }
}
