// Our side of `train.py`: a process that waits for work. It says `ready`, then reads numbers of steps, a line each, takes
// so many and says how many seconds that took; at the end of its input it tells its peak memory, in MiB.
//
//     echo 20 | ckpt-train-bench mlp 1                    model, threads
//     echo 20 | ckpt-train-bench optimizer 1              AdamW alone, over the parameters of a GPT of 25 million
//     echo 250 | ckpt-train-bench run-mlp 1 50 FOLDER     a `Trainer` that saves every 50 steps, or never for 0
import Checkpoint
import Training

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

struct BadUse: Error {
  let message: String
}

/// Something that takes steps.
protocol Work {
  /// How many steps let caches fill before the first that counts.
  var warmup: Int { get }
  /// Takes steps; gives the seconds that it took.
  func take(_ steps: Int) throws -> Double
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
  let time = try ContinuousClock().measure(body).components
  return Double(time.seconds) + Double(time.attoseconds) * 1e-18
}

/// The most memory that this process has had, in MiB.
func peakMemory() -> Double {
  var usage = rusage()
  // RUSAGE_SELF, which C libraries import under different types.
  getrusage(0, &usage)
  #if canImport(Darwin)
    return Double(usage.ru_maxrss) / 1_048_576
  #else
    return Double(usage.ru_maxrss) / 1024
  #endif
}

func say(_ text: String) {
  print(text)
  fflush(nil)
}

func work(_ arguments: [String]) throws -> any Work {
  let usage = BadUse(
    message: "usage: ckpt-train-bench linear|mlp|cnn|gpt|optimizer|run-mlp|run-gpt THREADS [EVERY FOLDER]")
  guard arguments.count >= 2, let threads = Int(arguments[1]) else { throw usage }
  Threads.count = threads
  switch arguments[0] {
  case "optimizer": return try OptimizerAlone()
  case "run-mlp", "run-gpt":
    guard arguments.count == 4, let every = Int(arguments[2]) else { throw usage }
    return try Run(Subject(String(arguments[0].dropFirst(4)), batch: 2), every: every, folder: arguments[3])
  default: return try Steps(Subject(arguments[0]))
  }
}

do {
  let work = try work(Array(CommandLine.arguments.dropFirst()))
  _ = try work.take(work.warmup)
  say("ready")
  while let line = readLine() {
    guard let steps = Int(line), steps > 0 else { throw BadUse(message: "'\(line)' is no number of steps") }
    say("\(try work.take(steps))")
  }
  say("\(peakMemory())")
} catch {
  print("ckpt-train-bench: \((error as? BadUse)?.message ?? "\(error)")")
  exit(64)
}
