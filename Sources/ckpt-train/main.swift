import Checkpoint
import CommandSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

Signals.handle()
keepHeap()
exit(TrainProgram.main(Array(CommandLine.arguments.dropFirst())))
