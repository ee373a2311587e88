import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// How many threads reading and writing use when nobody says: more than two gain little against one disk.
public let defaultThreads = max(1, min(2, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))

/// Calls `body` for `0 ..< count` on up to `threads` threads, and waits. Indices are handed out in order.
///
/// - Throws: the first error; no further index is handed out after it.
public func parallelForEach(
  count: Int, threads: Int = defaultThreads, _ body: @Sendable (Int) throws(CheckpointError) -> Void
) throws(CheckpointError) {
  guard count > 1, threads > 1 else {
    for index in 0..<count { try body(index) }
    return
  }
  let failure = Mutex<CheckpointError?>(nil)
  let next = Atomic<Int>(0)
  let work = { () -> Void in
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      guard index < count else { return }
      do throws(CheckpointError) {
        try body(index)
      } catch {
        failure.withLock { if $0 == nil { $0 = error } }
        next.store(count, ordering: .relaxed)
        return
      }
    }
  }
  withThreads(min(threads, count) - 1, work)
  if let error = failure.withLock({ $0 }) { throw error }
}

/// Runs `work` here and on `extra` more threads, and waits for all of them.
private func withThreads(_ extra: Int, _ work: () -> Void) {
  withoutActuallyEscaping(work) { work in
    // The box outlives the threads: they are joined before this function returns.
    let box = Unmanaged.passRetained(Work(run: work))
    defer { box.release() }
    var started: [pthread_t] = []
    for _ in 0..<extra {
      #if canImport(Darwin)
        var thread: pthread_t?
      #else
        var thread = pthread_t()
      #endif
      let status = pthread_create(&thread, nil, { runWork($0) }, box.toOpaque())
      guard status == 0 else { break }  // fewer threads, same result
      #if canImport(Darwin)
        if let thread { started.append(thread) }
      #else
        started.append(thread)
      #endif
    }
    work()
    for thread in started { pthread_join(thread, nil) }
  }
}

private final class Work {
  let run: () -> Void
  init(run: @escaping () -> Void) { self.run = run }
}

#if canImport(Darwin)
  private func runWork(_ box: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    Unmanaged<Work>.fromOpaque(box).takeUnretainedValue().run()
    return nil
  }
#else
  private func runWork(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let box { Unmanaged<Work>.fromOpaque(box).takeUnretainedValue().run() }
    return nil
  }
#endif

/// `body` of `0 ..< count` in order, computed on up to `threads` threads.
public func parallelMap<Result: Sendable>(
  count: Int, threads: Int = defaultThreads, _ body: @Sendable (Int) throws(CheckpointError) -> Result
) throws(CheckpointError) -> [Result] {
  let results = Mutex<[Result?]>(Array(repeating: nil, count: count))
  try parallelForEach(count: count, threads: threads) { (index) throws(CheckpointError) in
    let result = try body(index)
    results.withLock { $0[index] = result }
  }
  return results.withLock { $0.compactMap { $0 } }
}
