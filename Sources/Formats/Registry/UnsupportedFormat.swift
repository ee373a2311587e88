import Checkpoint

/// Files that are recognised so that the error can name them, though no reader takes them.
struct UnsupportedFormat: Sendable {
  let name: String
  var advice = "Formats that can be read: PyTorch's torch.save files, pickles and ckpt's .h5."
  let recognises: @Sendable (FileStart) -> Bool

  static func error(for start: FileStart) -> CheckpointError {
    if let known = all.first(where: { $0.recognises(start) }) {
      return CheckpointError(.unsupported, "is \(known.name)", file: start.path, advice: known.advice)
    }
    let advice = "If you know the format, say it with --from."
    if start.isFolder {
      return CheckpointError(
        .unsupported, "is a folder; expected a file", file: start.path, advice: "Name the checkpoint file in it.")
    }
    guard !start.bytes.isEmpty else {
      return CheckpointError(
        .unsupported, "the file is empty", file: start.path, advice: "Copy it again; the original may be whole.")
    }
    return CheckpointError(
      .unsupported, "no format known here; its first bytes are \(shown(start.bytes))", file: start.path, advice: advice)
  }

  static func error(for kind: FormatKind) -> CheckpointError {
    CheckpointError(
      .unsupported, "reading \(kind.rawValue) files is not supported yet",
      advice: "These can be read: \(Format.readableKinds.map(\.rawValue).joined(separator: " and ")).")
  }

  /// `6e 6f 74 20 ("not ")`
  static func shown(_ bytes: [UInt8]) -> String {
    let first = bytes.prefix(8)
    let digits = first.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    guard first.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return digits }
    return "\(digits) (\"\(String(decoding: first, as: UTF8.self))\")"
  }

  /// The more certain ones first.
  private static let all: [UnsupportedFormat] = [
    UnsupportedFormat(name: "an HDF5 file that ckpt did not write", advice: "ckpt inspect shows what is in it.") {
      $0.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A])
    },
    UnsupportedFormat(
      name: "a tar archive, but none of PyTorch 0.1", advice: "Unpack it first: tar -xf. The checkpoint may be in it."
    ) { $0.bytes.dropFirst(257).starts(with: "ustar".utf8) },
    UnsupportedFormat(
      name: "a Git LFS pointer and not the file itself", advice: "Run git lfs pull in its repository."
    ) { $0.starts(with: "version https://git-lfs.github.com".utf8) },
    UnsupportedFormat(
      name: "a web page and not a checkpoint", advice: "The download went wrong; the page's text may say why."
    ) { isWebPage($0) },
    UnsupportedFormat(name: "compressed with gzip", advice: "Decompress it first: gunzip.") {
      $0.starts(with: [0x1F, 0x8B])
    },
    UnsupportedFormat(name: "compressed with zstd", advice: "Decompress it first: unzstd.") {
      $0.starts(with: [0x28, 0xB5, 0x2F, 0xFD])
    },
    UnsupportedFormat(
      name: "compressed with zlib, as joblib does",
      advice: "In Python, save it uncompressed: joblib.dump(joblib.load(file), other)."
    ) { $0.bytes.count > 2 && $0.bytes[0] == 0x78 && [0x01, 0x5E, 0x9C, 0xDA].contains($0.bytes[1]) },
    UnsupportedFormat(name: "an empty zip archive") { $0.starts(with: [0x50, 0x4B, 0x05, 0x06]) },
  ]

  private static func isWebPage(_ start: FileStart) -> Bool {
    let text = String(decoding: start.bytes.prefix(64), as: UTF8.self).lowercased()
    return text.hasPrefix("<!doctype html") || text.hasPrefix("<html")
  }
}
