import Checkpoint
import CheckpointFormats

/// An array as `fixtures/make_data.py` recorded it.
struct ExpectedArray: Sendable, CustomStringConvertible {
  let file: String
  let name: String
  let dtype: String
  let shape: [Int]
  let hex: String

  var description: String { "\(file) \(name)" }

  static let all: [ExpectedArray] = lines("arrays.tsv").map { fields in
    ExpectedArray(
      file: fields[0], name: fields[1], dtype: fields[2], shape: fields[3].split(separator: ",").compactMap { Int($0) },
      hex: fields[4])
  }

  static func lines(_ file: String) -> [[String]] {
    guard let bytes = try? fileBytes("\(fixtureFolder)/data/\(file)") else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
  }

  /// What is wrong with a tensor, in words; nil when it is the array.
  func difference(from tensor: Tensor?) throws -> String? {
    guard let tensor else { return "is not there" }
    var bytes: [UInt8] = []
    try tensor.source.withBytes { bytes = Array($0) }
    var pieces: [UInt8] = []
    try tensor.source.forEachPiece(limit: 16) { pieces += $0 }
    let text = bytes.map { hexOf($0) }.joined()
    if tensor.dtype.rawValue != dtype { return "dtype \(tensor.dtype.rawValue)" }
    if tensor.shape != shape { return "shape \(tensor.shape)" }
    if text != hex { return "bytes \(text), expected \(hex)" }
    return pieces == bytes ? nil : "pieces differ from the whole"
  }

  private func hexOf(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}

/// The tensors of a file by name; an `.npy` array's name is empty.
func tensors(in file: String, _ checkpoint: Checkpoint) -> [String: Tensor] {
  switch checkpoint.root {
  case .tensor(let tensor): return ["": tensor]
  case .dict(let dict):
    var found: [String: Tensor] = [:]
    for entry in dict.entries { if case .tensor(let tensor) = entry.value { found[entry.key.text] = tensor } }
    return found
  default: return [:]
  }
}

func readArrays(_ path: String) throws -> Checkpoint {
  if path.hasSuffix(".safetensors") { return try SafetensorsFile.read(path) }
  if path.hasSuffix(".h5") { return try HDF5Arrays.read(path) }
  return try NumPyFile.read(path)
}
