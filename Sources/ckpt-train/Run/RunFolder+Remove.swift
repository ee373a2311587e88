import Checkpoint
import Training

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension RunFolder {
  /// Removes the files of the run that is here, and nothing else.
  ///
  /// - Throws: `cannotCreate` where one cannot be removed.
  func removeRun() throws(CheckpointError) {
    let files =
      try steps().map(file(ofStep:)) + ["best.h5", "metrics.csv", RunRecord.name].map { Paths.join(path, $0) }
    for file in files {
      guard unlink(file) != 0, errno != ENOENT else { continue }
      throw CheckpointError(.cannotCreate, "cannot be replaced: \(systemMessage(errno))", file: file)
    }
  }
}
