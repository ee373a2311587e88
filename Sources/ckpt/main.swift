import ArgumentParser
import Checkpoint
import CommandSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

Signals.handle()
// A listing of ten thousand tensors takes a seventh less time so.
keepHeap()
exit(Root.run())
