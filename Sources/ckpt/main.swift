import ArgumentParser
import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

Signals.handle()
// A listing of ten thousand tensors takes a seventh less time so.
keepHeap()
exit(Root.run())
