import Checkpoint

/// Where a checkpoint of DeepSpeed lies, and its files. No file outside the folder that was named is ever opened.
struct DeepSpeedFolder {
  /// The folder as the user named it, by which files are confined.
  let parts: PartsFolder
  /// The folder of the step below it, with a slash at the end; empty where the user named that folder itself.
  let prefix: String
  /// The names of the files of the step.
  let names: [String]
  let verifies: Bool

  /// - Throws: `damaged` where `latest` names what is no folder in the one that was named.
  init(_ path: String, latest: String, verify: Bool) throws(CheckpointError) {
    let parts = try PartsFolder(path)
    verifies = verify
    guard parts.has(latest) else {
      (self.parts, prefix, names) = (parts, "", parts.names)
      return
    }
    let tag = try Self.tag(in: parts, latest)
    guard let names = PartsFolder.names(in: "\(path)/\(tag)") else {
      throw CheckpointError(
        .damaged, "names the folder '\(tag)', which is not there", file: "\(path)/\(latest)",
        advice: "Name the folder of the step that you want.")
    }
    (self.parts, prefix, self.names) = (parts, tag + "/", names)
  }

  /// The name that `latest` holds.
  private static func tag(in parts: PartsFolder, _ latest: String) throws(CheckpointError) -> String {
    let file = try parts.map(latest)
    guard file.count <= 1024 else {
      throw CheckpointError(.damaged, "\(file.count) bytes where a folder's name is due", file: file.path)
    }
    var text = String(decoding: file.bytes, as: UTF8.self)
    withExtendedLifetime(file) {}
    while let last = text.unicodeScalars.last, last.value <= 0x20 { text.unicodeScalars.removeLast() }
    do throws(CheckpointError) {
      try parts.checkName(text)
    } catch {
      throw CheckpointError(
        .damaged, "names '\(text.prefix(200))', which is no folder inside this one", file: file.path,
        advice: error.advice)
    }
    return text
  }

  /// The name of a file for people: with the folder of its step.
  func path(of name: String) -> String { "\(parts.path)/\(prefix)\(name)" }

  func has(_ name: String) -> Bool { names.contains { $0.hasSameBytes(as: name) } }

  /// What one of the files holds.
  func load(_ name: String, bytes: inout Int, warnings: inout [String]) throws(CheckpointError) -> Value {
    let file = try parts.map(prefix + name)
    do throws(CheckpointError) {
      let read = try TorchArchive(file, verify: verifies).read()
      bytes += file.count
      warnings += read.warnings.map { "\(name): \($0)" }
      return read.root
    } catch {
      throw error.inFile(path(of: name))
    }
  }

  /// The same, where a dictionary is due.
  func loadDict(_ name: String, bytes: inout Int, warnings: inout [String]) throws(CheckpointError) -> Dict {
    guard case .dict(let dict) = try load(name, bytes: &bytes, warnings: &warnings) else {
      throw CheckpointError(.damaged, "holds no dictionary, as DeepSpeed's files do", file: path(of: name))
    }
    return dict
  }
}

/// What the name of one of DeepSpeed's files says.
struct DeepSpeedFile {
  enum Kind { case model, optimizer }

  let name: String
  let kind: Kind
  /// The rank among those that share the data; nil in names without one.
  let rank: Int?
  /// The rank among those that share the tensors.
  let tensorRank: Int

  /// `mp_rank_00_model_states.pt`, `zero_pp_rank_3_mp_rank_00_model_states.pt`,
  /// `bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt`; nil for others.
  init?(_ name: String) {
    var rest = Substring(name)
    if rest.hasPrefix("bf16_") || rest.hasPrefix("fp16_") { rest = rest.dropFirst(5) }
    var rank: Int?
    if rest.hasPrefix("zero_pp_rank_") {
      rest = rest.dropFirst(13)
      guard let number = Self.number(&rest), rest.hasPrefix("_") else { return nil }
      rank = number
      rest = rest.dropFirst()
    }
    guard rest.hasPrefix("mp_rank_") else { return nil }
    rest = rest.dropFirst(8)
    guard let tensorRank = Self.number(&rest) else { return nil }
    switch rest {
    case "_model_states.pt": kind = .model
    case "_optim_states.pt": kind = .optimizer
    default: return nil
    }
    (self.name, self.rank, self.tensorRank) = (name, rank, tensorRank)
  }

  private static func number(_ text: inout Substring) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    text = text.dropFirst(digits.count)
    return Int(digits)
  }
}
