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
    report.checked.append("structure and profile of \(reader.found.count) tensors")
    try checkManifest(file, reader.found, TensorTable(root))
    try checkContent(file, root)
  }

  // MARK: - The manifest

  private mutating func checkManifest(
    _ file: borrowing NativeFile, _ found: [Manifest.Entry], _ table: TensorTable
  ) throws(CheckpointError) {
    do throws(CheckpointError) {
      guard let range = try file.manifestRange() else {
        throw CheckpointError(.damaged, "there is none")
      }
      let manifest = try file.manifest(at: range)
      report.checked.append("manifest of \(manifest.entries.count) tensors")
      try compare(manifest, with: found)
      try checkDigests(manifest, file.mapped)
      try file.check(manifest, at: range)
      report.checked.append("every byte outside the tensors")
    } catch {
      problem(error.place ?? "/manifest", error.message)
    }
  }

  /// The manifest's entries against what the tree really has.
  private mutating func compare(
    _ manifest: Manifest, with found: [Manifest.Entry]
  ) throws(CheckpointError) {
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
      } else if claim.range != entry.range, !claim.range.isEmpty || !entry.range.isEmpty {
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

  /// Each tensor's bytes, where the manifest says they are, against their digests.
  private mutating func checkDigests(
    _ manifest: Manifest, _ file: MappedFile
  ) throws(CheckpointError) {
    let entries = manifest.entries.filter { $0.aliasOf == nil && $0.range.upperBound <= file.count }
    let wrong = try parallelMap(count: entries.count, threads: threads) { (index) throws(CheckpointError) -> String? in
      let entry = entries[index]
      let source = try MappedRange(file, range: entry.range)
      let tensor = try Tensor(dtype: entry.dtype, shape: entry.shape, source: source)
      for claim in [entry.xxh3, entry.sha256] {
        guard let claim else { continue }
        let found = try tensor.digest(claim.algorithm)
        if found != claim { return "the digest of its bytes is \(found), the manifest says \(claim)" }
      }
      return entry.xxh3 == nil ? "the manifest has no digest" : ""
    }
    for (entry, what) in zip(entries, wrong) {
      if let what, !what.isEmpty { problem("/\(entry.path)", what) }
    }
    report.checked.append("digests of \(entries.count) tensors")
  }

  // MARK: - The content

  private mutating func checkContent(
    _ file: borrowing NativeFile, _ root: Value
  ) throws(CheckpointError) {
    guard let text = file.contentDigest else { return problem("/", "the attribute content_digest is missing") }
    guard let claim = Digest(text: text) else {
      return problem("/", "content_digest is \"\(text)\", which is no digest")
    }
    let found = try ContentDigest.compute(root, claim.algorithm, threads: threads)
    if found != claim { problem("/", "the content digest is \(found), the file claims \(claim)") }
    report.checked.append("content digest \(claim)")
  }

  private mutating func problem(_ place: String, _ what: String) {
    report.problems.append(VerifyReport.Problem(place, what))
  }
}
