import ArgumentParser

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// A reader that goes away (`ckpt inspect | head`) is told by the result of a write, not by a signal.
signal(SIGPIPE, SIG_IGN)
exit(Root.run())
