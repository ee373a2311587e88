import ArgumentParser
package import Checkpoint

/// The exit codes of the contract.
package enum Exit {
  package static let yes: Int32 = 0
  package static let no: Int32 = 1
  package static let usage: Int32 = 64
  package static let badInput: Int32 = 65
  package static let noInput: Int32 = 66
  package static let cannotCreate: Int32 = 73
  package static let inputOutput: Int32 = 74
}

extension CheckpointError.Code {
  package var exitCode: Int32 {
    switch self {
    case .damaged, .unsupported: Exit.badInput
    case .missing: Exit.noInput
    case .cannotCreate: Exit.cannotCreate
    case .inputOutput: Exit.inputOutput
    case .usage: Exit.usage
    }
  }

  /// What a user can do where the error itself does not say.
  var advice: String {
    switch self {
    case .damaged: "ckpt verify FILE lists what is damaged; copy the file again if its source is whole."
    case .unsupported: "ckpt inspect FILE shows what can be read of it."
    case .missing: "Check the name and the folder."
    case .cannotCreate: "Choose another name, or add --overwrite to replace what is there."
    case .inputOutput: "Check the disk and the permissions, then try again."
    case .usage: "See ckpt --help."
    }
  }
}

extension CheckpointError {
  /// One line of what, one line of what to do.
  package var report: String {
    var parts: [String] = []
    if let file { parts.append(file) }
    if let place { parts.append(place) }
    parts.append(message)
    return "ckpt: error: \(printable(parts.joined(separator: ": ")))\n  \(printable(advice ?? code.advice))\n"
  }
}

/// Says on standard error what the user should know, though the work was done.
package func warn(_ warnings: [String]) {
  guard !warnings.isEmpty else { return }
  Terminal.writeError(warnings.map { "ckpt: warning: \(printable($0))\n" }.joined())
}

/// Runs `body`, whose errors are `CheckpointError`s, and ends with its exit code.
package func reportingErrors(_ body: () throws(CheckpointError) -> Int32) throws {
  let code: Int32
  do throws(CheckpointError) {
    code = try body()
  } catch {
    Terminal.writeError(error.report)
    code = error.code.exitCode
  }
  if code != 0 { throw ExitCode(code) }
}
