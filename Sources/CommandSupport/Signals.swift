#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The command never ends by a signal: what would kill it becomes one of its exit codes.
///
/// Files are mapped, so one that another program shortens, or a disk that fails, raises SIGBUS in the middle of a read.
/// libhdf5 1.10 crashes on some files whose metadata was forged with valid checksums. An output is never half there
/// all the same: it has its name only once it is whole, and the next save removes what this one leaves.
package enum Signals {
  package static func handle() {
    // A reader that goes away (`ckpt inspect | head`) and a limit on file sizes are told by the result of a write.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    guard makeOwnStack() else { return }
    catching(SIGBUS) { _ in
      finish(
        """
        ckpt: error: the input cannot be read any more: another program made it shorter, or the disk fails
          Check the disk, and that nothing writes the file, then try again.

        """, Exit.inputOutput)
    }
    for number in [SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT] {
      catching(number) { _ in
        finish(
          """
          ckpt: error: the input made ckpt, or the HDF5 library in it, fail: it is damaged or hostile
            Do not trust this file; please report it, since it should have been refused by name.

          """, Exit.badInput)
      }
    }
  }

  /// Handlers run on a stack of their own, since one that is used up is among their reasons.
  private static func makeOwnStack() -> Bool {
    let size = 1 << 16
    var stack = stack_t()
    stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
    stack.ss_size = size
    return sigaltstack(&stack, nil) == 0
  }

  private static func catching(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) {
    var action = sigaction()
    #if canImport(Glibc)
      action.__sigaction_handler.sa_handler = handler
    #else
      action.__sigaction_u.__sa_handler = handler
    #endif
    // Fails anew, and then for good, should the handler itself fail.
    action.sa_flags = Int32(bitPattern: UInt32(SA_ONSTACK) | UInt32(SA_RESETHAND))
    sigaction(number, &action, nil)
  }
}

/// Only what may be done in a handler: no memory is asked for, and nothing is cleaned up.
private func finish(_ message: StaticString, _ code: Int32) -> Never {
  _ = write(STDERR_FILENO, message.utf8Start, message.utf8CodeUnitCount)
  _exit(code)
}
