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
  public static func onSignals() -> StopRequest {
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
      action.sa_flags = Int32(SA_RESTART)
      sigaction(number, &action, nil)
    }
    return StopRequest(listensToSignals: true)
  }
}

private let caughtSignal = Atomic<Int32>(0)
