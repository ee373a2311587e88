import Checkpoint

extension Format {
  /// `torch.save` before PyTorch 1.6.
  static let torchLegacy = Format(
    kind: .pt, id: "torch-legacy", name: "PyTorch checkpoint (legacy stream)",
    recognises: { start in LegacyStream.recognises(start.bytes) },
    read: { (path, _) throws(CheckpointError) in
      let file = try MappedFile(path)
      return Opened(
        checkpoint: try readLegacy(file).checkpoint, version: "\(LegacyStream.protocolVersion)", producer: nil,
        bytes: file.count)
    },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      try verifyByReading(path) { (file) throws(CheckpointError) in
        let (checkpoint, storages) = try readLegacy(file)
        return (checkpoint, "structure: 5 pickles and \(storages) storages of the declared lengths")
      }
    })

  /// PyTorch 0.1's tar archives.
  static let torchTar = Format(
    kind: .pt, id: "torch-tar", name: "PyTorch checkpoint (tar archive of version 0.1)",
    recognises: { start in
      start.bytes.dropFirst(257).starts(with: "ustar".utf8) && TarArchive.isTorch(start.bytes)
    },
    read: { (path, _) throws(CheckpointError) in
      let file = try MappedFile(path)
      return Opened(checkpoint: try readTar(file).checkpoint, version: nil, producer: nil, bytes: file.count)
    },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      try verifyByReading(path) { (file) throws(CheckpointError) in
        let (checkpoint, storages) = try readTar(file)
        return (checkpoint, "structure: the tar archive's headers and \(storages) storages")
      }
    })

  /// A pickle that no `torch.save` wrote: `pickle.dump` of tensors, arrays, plain data; joblib's files.
  static let pickle = Format(
    kind: .pt, id: "pickle", name: "Python pickle",
    recognises: { start in
      if start.bytes.count > 2, start.bytes[0] == PickleOpcode.proto, (1...5).contains(start.bytes[1]) { return true }
      return start.bytes.withUnsafeBytes { PickleMachine.isStart($0) }
    },
    read: { (path, _) throws(CheckpointError) in
      let file = try MappedFile(path)
      return Opened(checkpoint: try readPickle(file), version: nil, producer: nil, bytes: file.count)
    },
    write: nil,
    verify: { (path) throws(CheckpointError) in
      try verifyByReading(path) { (file) throws(CheckpointError) in
        (try readPickle(file), "structure: every opcode of the pickle")
      }
    })

  private static func readLegacy(
    _ file: MappedFile
  ) throws(CheckpointError) -> (checkpoint: Checkpoint, storages: Int) {
    var result = Checkpoint(root: .none)
    var storages = 0
    do throws(CheckpointError) {
      try LegacyStream.open(MappedRange(file, range: 0..<file.count)) { (stream) throws(CheckpointError) in
        result.root = try stream.tree.root()
        result.warnings = trailing(stream.trailing, "the last storage") + stream.tree.warnings
        storages = stream.storageCount
      }
    } catch {
      throw error.inFile(file.path)
    }
    return (result, storages)
  }

  private static func readTar(_ file: MappedFile) throws(CheckpointError) -> (checkpoint: Checkpoint, storages: Int) {
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      var archive = try TorchTar(file)
      let checkpoint = try archive.read()
      return (checkpoint, archive.storageCount)
    } catch {
      throw error.inFile(file.path)
    }
  }

  private static func readPickle(_ file: MappedFile) throws(CheckpointError) -> Checkpoint {
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      let (pickle, length) = try PickleMachine.run(file.bytes, limits: .init(bytesInFile: file.count))
      let origin = try MappedRange(file, range: 0..<length)
      var tree = try TorchTree(
        pickle, bytes: UnsafeRawBufferPointer(rebasing: file.bytes[..<length]), origin: origin,
        storages: TorchStorages(NoStorages()))
      let root = try tree.root()
      return Checkpoint(root: root, warnings: trailing(file.count - length, "the pickle's end") + tree.warnings)
    } catch {
      throw error.inFile(file.path)
    }
  }

  private static func trailing(_ count: Int, _ what: String) -> [String] {
    count == 0 ? [] : ["\(count) bytes follow \(what); they are not part of the checkpoint"]
  }

  /// What can be checked of a file that records no checksums: everything but the tensors' bytes.
  private static func verifyByReading(
    _ path: String,
    _ read: (MappedFile) throws(CheckpointError) -> (checkpoint: Checkpoint, structure: String)
  ) throws(CheckpointError) -> VerifyReport {
    var report = VerifyReport()
    do throws(CheckpointError) {
      let (checkpoint, structure) = try read(try MappedFile(path))
      report.checked = [structure, "pickle and the bounds of every tensor"]
      report.warnings = checkpoint.warnings
      report.warnings.append("files of this kind record no checksums: a changed byte of a tensor cannot be found")
    } catch {
      switch error.code {
      case .damaged, .unsupported: report.problems.append(.init(error.place ?? "file", error.message))
      default: throw error
      }
    }
    return report
  }
}
