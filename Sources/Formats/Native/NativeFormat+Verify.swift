public import Checkpoint
import HDF5

extension NativeFormat {
  /// Checks every byte of the file: structure and profile through libhdf5, each tensor's digest, the content digest,
  /// and through the manifest everything between the tensors.
  ///
  /// - Throws: only what prevents a look at all: `missing`, `inputOutput`. Damage is a problem in the report.
  public static func verify(_ path: String, threads: Int = defaultThreads) throws(CheckpointError) -> VerifyReport {
    var verifier = NativeVerifier(path: path, threads: threads)
    do throws(CheckpointError) {
      try verifier.run()
    } catch {
      if error.code == .missing || error.code == .inputOutput { throw error.inFile(path) }
      verifier.report.problems.append(VerifyReport.Problem(error.place ?? "file", error.message))
    }
    return verifier.report
  }
}

private struct NativeVerifier {
  let path: String
  let threads: Int
  var report = VerifyReport()

  mutating func run() throws(CheckpointError) {
    let file = try NativeFile(path)
    report.checked.append("header of version \(file.version)")
    // The whole tree is read without the manifest's help, so that the two can be compared.
    var reader = TreeReader(file: file.mapped, manifest: nil, manifestRange: file.noticedManifest())
    let root = try reader.read(file.root(), at: file.location)
    report.checked.append("structure: \(reader.found.count) tensors")
    let table = TensorTable(root)
    var digests = [Digest.Algorithm.xxh3: try digests(of: table, .xxh3)]
    if let claim = file.contentDigest.flatMap(Digest.init(text:)), claim.algorithm != .xxh3 {
      digests[claim.algorithm] = try self.digests(of: table, claim.algorithm)
    }
    try checkManifest(file, reader, table, digests)
    try checkContent(file, root, table, digests)
  }

  private func digests(
    of table: TensorTable, _ algorithm: Digest.Algorithm
  ) throws(CheckpointError) -> [Digest] {
    try parallelMap(count: table.tensors.count, threads: threads) { (index) throws(CheckpointError) in
      try table.tensors[index].digest(algorithm)
    }
  }

  // MARK: - The manifest

  private mutating func checkManifest(
    _ file: borrowing NativeFile, _ reader: TreeReader, _ table: TensorTable, _ digests: [Digest.Algorithm: [Digest]]
  ) throws(CheckpointError) {
    do throws(CheckpointError) {
      guard let manifest = try file.manifest() else { throw CheckpointError(.damaged, "there is none") }
      report.checked.append("manifest of \(manifest.entries.count) tensors")
      let age = try age(of: manifest, file)
      if let age { problem("/manifest", "no longer fits the file, which was edited or repacked since: \(age)") }
      compare(manifest, with: reader.found, places: age == nil)
      try checkDigests(manifest, reader, table, digests)
      if age == nil { report.checked.append("every byte outside the tensors") }
    } catch {
      problem(error.place ?? "/manifest", error.message)
    }
  }

  /// Why the manifest no longer holds; nil when it does.
  private func age(of manifest: Manifest, _ file: borrowing NativeFile) throws(CheckpointError) -> String? {
    do throws(CheckpointError) {
      guard let range = try file.manifestRange() else { return "there is none" }
      try file.check(manifest, at: range)
      return nil
    } catch {
      return error.message
    }
  }

  /// The manifest's entries against what the tree really has.
  ///
  /// - Parameter places: whether the tensors should also lie where the manifest says.
  private mutating func compare(_ manifest: Manifest, with found: [Manifest.Entry], places: Bool) {
    var listed: [Key: Manifest.Entry] = [:]
    for entry in manifest.entries { listed[.string(entry.path)] = entry }
    for entry in found {
      guard let claim = listed.removeValue(forKey: .string(entry.path)) else {
        problem("/\(entry.path)", "is in the file but not in its manifest: it was added since")
        continue
      }
      if claim.dtype != entry.dtype || claim.shape != entry.shape {
        problem(
          "/\(entry.path)",
          "is \(entry.dtype.rawValue) \(entry.shape), the manifest says \(claim.dtype.rawValue) \(claim.shape)")
      } else if places, claim.range != entry.range, !claim.range.isEmpty || !entry.range.isEmpty {
        problem("/\(entry.path)", "lies at bytes \(entry.range), the manifest says \(claim.range)")
      }
      if claim.kind != entry.kind || claim.requiresGrad != entry.requiresGrad {
        problem("/\(entry.path)", "has another kind or requires_grad than the manifest says")
      }
      if claim.aliasOf.map(Key.string) != entry.aliasOf.map(Key.string) {
        problem("/\(entry.path)", "shares its data with another tensor in the file or in the manifest, not in both")
      }
    }
    if listed.isEmpty, manifest.entries.map({ Key.string($0.path) }) != found.map({ Key.string($0.path) }) {
      problem("/manifest", "lists the tensors in another order than they have, or some of them twice")
    }
    for entry in manifest.entries where listed[.string(entry.path)] != nil {
      problem("/\(entry.path)", "is in the manifest but not in the file: it was removed since")
    }
  }

  /// Each tensor's bytes against the digests that the manifest has for them.
  private mutating func checkDigests(
    _ manifest: Manifest, _ reader: TreeReader, _ table: TensorTable, _ digests: [Digest.Algorithm: [Digest]]
  ) throws(CheckpointError) {
    var count = 0
    for entry in manifest.entries where entry.aliasOf == nil {
      guard let tensor = reader.tensor(at: entry.path) else { continue }
      count += 1
      let index = table.index(of: tensor)
      for claim in [entry.xxh3, entry.sha256] {
        guard let claim else { continue }
        let known = index.flatMap { digests[claim.algorithm]?[$0] }
        let found: Digest
        if let known { found = known } else { found = try tensor.digest(claim.algorithm) }
        if found != claim {
          problem("/\(entry.path)", "the digest of its bytes is \(found), the manifest says \(claim)")
        }
      }
      if entry.xxh3 == nil { problem("/\(entry.path)", "the manifest has no digest") }
    }
    report.checked.append("digests of \(count) tensors")
  }

  // MARK: - The content

  private mutating func checkContent(
    _ file: borrowing NativeFile, _ root: Value, _ table: TensorTable, _ digests: [Digest.Algorithm: [Digest]]
  ) throws(CheckpointError) {
    guard let text = file.contentDigest else { return problem("/", "the attribute content_digest is missing") }
    guard let claim = Digest(text: text) else {
      return problem("/", "content_digest is \"\(text)\", which is no digest")
    }
    let found = try ContentDigest.of(root, claim.algorithm, table: table, digests: digests[claim.algorithm] ?? [])
    if found != claim { problem("/", "the content digest is \(found), the file claims \(claim)") }
    report.checked.append("content digest \(found)")
  }

  private mutating func problem(_ place: String, _ what: String) {
    report.problems.append(VerifyReport.Problem(place, what))
  }
}
