import Checkpoint
import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder that replaces another only when all its files are whole: a temporary folder beside the target, fsync, rename.
///
/// As with `OutputFile`, the target is what it was until `commit`, and what a killed process left is removed by the next
/// save to the same target.
final class OutputFolder: Sendable {
  /// The folder to be, as the user named it.
  let path: String
  /// Where the files go meanwhile.
  let temporaryPath: String
  private let target: String
  private let parent: String
  private let replaces: Bool
  private let descriptor: Int32
  private let isOurs: @Sendable (String) -> Bool

  /// - Parameters:
  ///   - replaces: whether an existing folder at `path` may be replaced.
  ///   - isOurs: whether a file of this name may be removed with the folder that is replaced.
  /// - Throws: `cannotCreate` when the target exists and may not be replaced, is no folder or has other files in it, or
  ///   the parent folder cannot be written.
  init(_ path: String, replaces: Bool, isOurs: @escaping @Sendable (String) -> Bool) throws(CheckpointError) {
    self.path = path
    self.replaces = replaces
    self.isOurs = isOurs
    guard ![".", ".."].contains(lastComponent(of: Self.withoutSlashes(path))) else {
      throw CheckpointError(.cannotCreate, "is no name for a folder to be made", file: path)
    }
    target = resolvedTarget(Self.withoutSlashes(path))
    parent = parentFolder(of: target)
    try Self.refuseBadTarget(path, target, replaces: replaces, isOurs)
    let prefix = ".\(lastComponent(of: target)).ckpt-tmp-"
    Self.removeAbandoned(prefix, in: parent, isOurs)
    (temporaryPath, descriptor) = try Self.createTemporary(parent, prefix, for: path)
  }

  deinit {
    // After a commit the old folder lies here, if there was one.
    Self.remove(temporaryPath, isOurs)
    close(descriptor)
  }

  /// Puts the folder in the target's place. All its files must have been committed.
  func commit(synced: Bool = true) throws(CheckpointError) {
    if synced { syncFolder(temporaryPath) }
    try Self.refuseBadTarget(path, target, replaces: replaces, isOurs)
    var status = ck_rename_new(temporaryPath, target)
    if status == EEXIST, replaces { status = ck_exchange(temporaryPath, target) }
    if status == EINVAL || status == ENOSYS || status == ENOTSUP { status = exchangeSlowly() }
    guard status == 0 else {
      throw CheckpointError(
        status == EEXIST ? .cannotCreate : .inputOutput, "cannot rename \(temporaryPath): \(systemMessage(status))",
        file: path)
    }
    if synced { syncFolder(parent) }
  }

  /// Where the system cannot let two folders change places: for a moment neither has the name.
  private func exchangeSlowly() -> Int32 {
    if rename(temporaryPath, target) == 0 { return 0 }
    guard replaces else { return EEXIST }
    let aside = temporaryPath + "-old"
    guard rename(target, aside) == 0 else { return errno }
    if rename(temporaryPath, target) == 0 {
      _ = rename(aside, temporaryPath)
      return 0
    }
    let status = errno
    _ = rename(aside, target)
    return status
  }

  private static func withoutSlashes(_ path: String) -> String {
    var path = path
    while path.utf8.count > 1, path.utf8.last == 0x2F { path.removeLast() }
    return path
  }

  private static func refuseBadTarget(
    _ path: String, _ target: String, replaces: Bool, _ isOurs: (String) -> Bool
  ) throws(CheckpointError) {
    var status = stat()
    guard lstat(target, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw CheckpointError(
        .cannotCreate, "exists and is no folder", file: path, advice: "Choose another name for the folder to be made.")
    }
    guard replaces else {
      throw CheckpointError(
        .cannotCreate, "exists already", file: path, advice: "Choose another name, or add --overwrite to replace it.")
    }
    if let other = PartsFolder.names(in: target)?.first(where: { !isOurs($0) || !isFile("\(target)/\($0)") }) {
      throw CheckpointError(
        .cannotCreate, "has '\(other)' in it, which is no part of a checkpoint and would be lost", file: path,
        advice: "Choose another name, or move that file away.")
    }
  }

  /// Whether there is a file, or a link, of exactly this name: names that are no UTF-8 were repaired in the list.
  private static func isFile(_ path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return false }
    return [S_IFREG, S_IFLNK].contains(status.st_mode & S_IFMT)
  }

  private static func createTemporary(
    _ parent: String, _ prefix: String, for path: String
  ) throws(CheckpointError) -> (path: String, descriptor: Int32) {
    while true {
      let name = "\(parent)/\(prefix)\(String(UInt64.random(in: .min ... .max), radix: 36))"
      guard mkdir(name, 0o777) == 0 else {
        if errno == EEXIST { continue }
        throw CheckpointError(
          .cannotCreate, "cannot create a folder in \(parent): \(systemMessage(errno))", file: path,
          advice: "Check that the folder exists and may be written to.")
      }
      let descriptor = open(name, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
      // Another save may take a folder without a lock for an abandoned one.
      if descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0, access(name, F_OK) == 0 {
        return (name, descriptor)
      }
      if descriptor >= 0 { close(descriptor) }
      rmdir(name)
    }
  }

  private static func removeAbandoned(_ prefix: String, in parent: String, _ isOurs: (String) -> Bool) {
    for name in PartsFolder.names(in: parent) ?? [] where name.utf8.starts(with: prefix.utf8) {
      let path = "\(parent)/\(name)"
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { remove(path, isOurs) }
      close(descriptor)
    }
  }

  /// Removes a folder and the files in it that are ours or temporary; it stays if there are others.
  private static func remove(_ path: String, _ isOurs: (String) -> Bool) {
    for name in PartsFolder.names(in: path) ?? [] where isOurs(name) || name.contains(".ckpt-tmp-") {
      unlink("\(path)/\(name)")
    }
    rmdir(path)
  }
}
