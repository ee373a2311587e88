import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A wish that a run end after its step and save. Any thread may utter it, and `onSignals` has signals do so.
public final class StopRequest: Sendable {
  private let flag = Atomic<Bool>(false)
  private let listensToSignals: Bool

  public init() { listensToSignals = false }

  private init(listensToSignals: Bool) { self.listensToSignals = listensToSignals }

  /// Whether the run should end.
  public var isRequested: Bool {
    flag.load(ordering: .relaxed) || listensToSignals && caughtSignal.load(ordering: .relaxed) != 0
  }

  /// Asks the run to end.
  public func request() { flag.store(true, ordering: .relaxed) }

  /// The signal that asked for it; nil where none did.
  public var signal: Int32? {
    guard listensToSignals else { return nil }
    let number = caughtSignal.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// A request that SIGINT and SIGTERM make. A second signal ends the process at once, with 128 + its number.
  ///
  /// Call it on the thread that trains. Its handler runs on a stack of its own: oneDNN's generated code keeps data below
  /// the stack pointer, further down than the ABI's red zone, where a handler would write over them.
  public static func onSignals() -> StopRequest {
    makeSignalStack()
    // Looked at here, so that the handler finds it made.
    caughtSignal.store(0, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      var action = sigaction()
      let handler: @convention(c) (Int32) -> Void = { number in
        // Nothing but what a handler may do: two atomic words and _exit.
        let (isFirst, _) = caughtSignal.compareExchange(expected: 0, desired: number, ordering: .relaxed)
        if !isFirst { _exit(128 + number) }
      }
      #if canImport(Glibc)
        action.__sigaction_handler.sa_handler = handler
      #else
        action.__sigaction_u.__sa_handler = handler
      #endif
      // What is being read or written goes on.
      action.sa_flags = Int32(SA_RESTART) | Int32(SA_ONSTACK)
      sigaction(number, &action, nil)
    }
    return StopRequest(listensToSignals: true)
  }
}

/// Gives the calling thread a stack for signal handlers, unless it has one.
private func makeSignalStack() {
  var known = stack_t()
  guard sigaltstack(nil, &known) != 0 || known.ss_flags & Int32(SS_DISABLE) != 0 else { return }
  var stack = stack_t()
  stack.ss_size = 1 << 16
  stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: stack.ss_size, alignment: 64)
  sigaltstack(&stack, nil)
}

private let caughtSignal = Atomic<Int32>(0)
