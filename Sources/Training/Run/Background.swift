import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// One piece of work at a time, on a thread beside the training's.
final class Background {
  private var thread: pthread_t?
  private var work: Work?

  /// Whether work is going on.
  var isBusy: Bool { work.map { !$0.isDone.load(ordering: .acquiring) } ?? false }

  /// Starts `run`, once the work before has ended. Where no thread can be had, it is done here and now.
  func start(_ run: @escaping @Sendable () -> Void) {
    wait()
    let work = Work(run)
    self.work = work
    let box = Unmanaged.passRetained(work).toOpaque()
    #if canImport(Darwin)
      var made: pthread_t?
      let status = pthread_create(&made, nil, { runWork($0) }, box)
      thread = made
    #else
      var made = pthread_t()
      let status = pthread_create(&made, nil, { runWork($0) }, box)
      thread = made
    #endif
    guard status != 0 else { return }
    thread = nil
    _ = runWork(box)
  }

  /// Waits until the work has ended.
  func wait() {
    if let thread { pthread_join(thread, nil) }
    thread = nil
    work = nil
  }

  deinit { wait() }
}

private final class Work: Sendable {
  let run: @Sendable () -> Void
  let isDone = Atomic<Bool>(false)

  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

#if canImport(Darwin)
  private func runWork(_ box: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? { finish(box) }
#else
  private func runWork(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? { box.flatMap(finish) }
#endif

private func finish(_ box: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
  let work = Unmanaged<Work>.fromOpaque(box).takeRetainedValue()
  work.run()
  work.isDone.store(true, ordering: .releasing)
  return nil
}
