import ArgumentParser
import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// A reader that goes away (`ckpt inspect | head`) is told by the result of a write, not by a signal.
signal(SIGPIPE, SIG_IGN)
// A listing of ten thousand tensors takes a seventh less time so.
keepHeap()
exit(Root.run())
