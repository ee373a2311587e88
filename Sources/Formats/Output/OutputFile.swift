import Checkpoint
import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that replaces another only when it is whole: a temporary file in the target's folder, fsync, rename.
///
/// Whatever fails before `commit`, the target is what it was, and the temporary file is removed when this object goes.
/// A process that was killed leaves its temporary file behind; the next save to the same target removes it, since
/// nobody holds its lock.
final class OutputFile: Sendable {
  /// The file to be, as the user named it.
  let path: String
  /// Where the bytes go meanwhile.
  let temporaryPath: String
  private let target: String
  private let folder: String
  private let descriptor: Int32
  private let replaces: Bool
  private let mode: mode_t?

  /// - Parameter replaces: whether an existing file at `path` may be replaced.
  /// - Throws: `cannotCreate` when the target exists and may not be replaced, or the folder cannot be written.
  init(_ path: String, replaces: Bool) throws(CheckpointError) {
    self.path = path
    self.replaces = replaces
    target = resolvedTarget(path)
    (folder, mode) = (parentFolder(of: target), permissions(of: target))
    try refuseBadTarget(path, target, replaces: replaces)
    let prefix = ".\(lastComponent(of: target)).ckpt-tmp-"
    removeAbandoned(prefix, in: folder)
    (temporaryPath, descriptor) = try createTemporary(folder: folder, prefix: prefix, for: path)
  }

  deinit {
    close(descriptor)
    // After a commit the name is gone already and this does nothing.
    unlink(temporaryPath)
  }

  /// Makes room for `size` bytes in all, so that a full disk is found out before anything is written.
  ///
  /// - Throws: `inputOutput` when the disk is full. A file system that cannot reserve is no error.
  func reserve(_ size: Int) throws(CheckpointError) {
    let status = ck_reserve(descriptor, Int64(size))
    if status == ENOSPC || status == EFBIG || status == EDQUOT {
      throw failure("cannot reserve \(size) bytes", status, advice: "Make room on the disk, or write elsewhere.")
    }
  }

  /// Writes all of `bytes` at `offset`. May be called from several threads at once.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
    var rest = bytes
    var position = offset
    while let start = rest.baseAddress, !rest.isEmpty {
      let written = pwrite(descriptor, start, rest.count, off_t(position))
      if written < 0 {
        if errno == EINTR { continue }
        throw failure("cannot write \(rest.count) bytes at \(position)", errno, advice: "The target was not touched.")
      }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
      position += written
    }
  }

  /// Cuts or extends the file to `size` bytes.
  func truncate(_ size: Int) throws(CheckpointError) {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw failure("cannot set the size to \(size)", errno) }
  }

  /// Puts the file in the target's place.
  ///
  /// - Parameters:
  ///   - synced: wait until the bytes and the name are on the disk. Leave it out only in a measurement.
  ///   - syncingFolder: the name too. Leave it out where the caller syncs the folder when all its files are there.
  func commit(synced: Bool = true, syncingFolder: Bool = true) throws(CheckpointError) {
    if let mode { _ = fchmod(descriptor, mode) }
    if synced, fsync(descriptor) != 0 { throw failure("cannot flush to the disk", errno) }
    try refuseBadTarget(path, target, replaces: replaces)
    try takeName()
    if synced, syncingFolder { syncFolder(folder) }
  }

  private func takeName() throws(CheckpointError) {
    // A link, unlike a rename, fails where another process has taken the name meanwhile.
    if !replaces, link(temporaryPath, target) == 0 {
      unlink(temporaryPath)
      return
    }
    if !replaces, errno == EEXIST { try refuseBadTarget(path, target, replaces: false) }
    // A file system without hard links.
    guard rename(temporaryPath, target) == 0 else { throw failure("cannot rename \(temporaryPath)", errno) }
  }

  private func failure(_ what: String, _ code: Int32, advice: String? = nil) -> CheckpointError {
    CheckpointError(.inputOutput, "\(what): \(systemMessage(code))", file: path, advice: advice)
  }
}

/// A symbolic link is followed, so that the file behind it is replaced and not the link.
func resolvedTarget(_ path: String) -> String {
  guard let resolved = realpath(path, nil) else { return path }
  defer { free(resolved) }
  return String(cString: resolved)
}

func parentFolder(of path: String) -> String {
  guard let slash = path.utf8.lastIndex(of: 0x2F) else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

func lastComponent(of path: String) -> String {
  path.utf8.lastIndex(of: 0x2F).map { String(path[path.utf8.index(after: $0)...]) } ?? path
}

func permissions(of path: String) -> mode_t? {
  var status = stat()
  return stat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
}

private func refuseBadTarget(_ path: String, _ target: String, replaces: Bool) throws(CheckpointError) {
  guard !lastComponent(of: target).isEmpty else {
    throw CheckpointError(.cannotCreate, "is a folder; expected a file name", file: path)
  }
  var status = stat()
  // A link is still one here only when it could not be followed.
  guard lstat(target, &status) == 0 else { return }
  guard status.st_mode & S_IFMT != S_IFLNK else {
    throw CheckpointError(
      .cannotCreate, "is a symbolic link that leads nowhere", file: path, advice: "Name the file itself.")
  }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw CheckpointError(.cannotCreate, "exists and is no regular file", file: path)
  }
  guard replaces else {
    throw CheckpointError(
      .cannotCreate, "exists already", file: path, advice: "Choose another name, or add --overwrite to replace it.")
  }
}

private func createTemporary(
  folder: String, prefix: String, for path: String
) throws(CheckpointError) -> (path: String, descriptor: Int32) {
  while true {
    let name = "\(folder)/\(prefix)\(String(UInt64.random(in: .min ... .max), radix: 36))"
    let descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let code = errno
      if code == EEXIST { continue }
      throw CheckpointError(
        .cannotCreate, "cannot create a file in \(folder): \(systemMessage(code))", file: path,
        advice: code == EMFILE
          ? "Raise the limit of open files (ulimit -n), or spread over fewer files."
          : "Check that the folder exists and may be written to.")
    }
    // Another save may take an unlocked new file for an abandoned one: keep it only if the name is still ours.
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0, stillNames(name, descriptor) { return (name, descriptor) }
    close(descriptor)
  }
}

private func stillNames(_ path: String, _ descriptor: Int32) -> Bool {
  var named = stat()
  var opened = stat()
  return stat(path, &named) == 0 && fstat(descriptor, &opened) == 0 && named.st_ino == opened.st_ino
}

/// Removes what killed processes left: files of our naming that nobody has locked.
private func removeAbandoned(_ prefix: String, in folder: String) {
  guard let listing = opendir(folder) else { return }
  defer { closedir(listing) }
  while let entry = readdir(listing) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
    }
    guard name.utf8.starts(with: prefix.utf8) else { continue }
    let path = "\(folder)/\(name)"
    let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { continue }
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(path) }
    close(descriptor)
  }
}

func syncFolder(_ folder: String) {
  let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  // Some file systems cannot sync a folder; the rename has happened all the same.
  _ = fsync(descriptor)
  close(descriptor)
}
