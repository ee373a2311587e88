// The library's side of the benchmark: one operation on made-up tensors in a fresh process, one JSON line.
//
//     ckpt-bench save PATH --bytes N --count N [--fsync]
//     ckpt-bench convert IN OUT [--fsync]
//     ckpt-bench load PATH        # opens, and touches every page of every tensor
//     ckpt-bench open PATH        # opens, of any format: the whole tree, no tensor's bytes; the median of 20, warm
//
// Only the operation itself is timed; the making of the tensors is outside.

import Checkpoint
import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

struct Arguments {
  var operation = ""
  var path = ""
  var output = ""
  var bytes = 1 << 30
  var count = 300
  var synced = false

  init(_ words: [String]) {
    var rest = words.dropFirst()[...]
    while let word = rest.popFirst() {
      switch word {
      case "--bytes": bytes = rest.popFirst().flatMap { Int($0) } ?? bytes
      case "--count": count = rest.popFirst().flatMap { Int($0) } ?? count
      case "--fsync": synced = true
      default: if operation.isEmpty { operation = word } else if path.isEmpty { path = word } else { output = word }
      }
    }
  }
}

/// Tensors of about equal size; the few elements of difference keep them from being aligned by luck.
func makeTensors(_ arguments: Arguments) throws(CheckpointError) -> Value {
  let base = max(arguments.bytes / arguments.count / 64 * 64, 64)
  var state: UInt64 = 1
  var entries: [Dict.Entry] = []
  for index in 0..<arguments.count {
    let elements = (base + index % 7 * 4) / 4
    var values = [UInt32](repeating: 0, count: elements)
    for place in values.indices {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      values[place] = UInt32(state >> 33) & 0x3FFF_FFFF  // a finite float
    }
    let number = String(index)
    let name = "model.layers.\(String(repeating: "0", count: max(0, 5 - number.count)))\(number).block.weight"
    let tensor = try Tensor(dtype: .float32, shape: [elements], source: BufferSource(elements: values))
    entries.append(Dict.Entry(.string(name), .tensor(tensor)))
  }
  return .dict(Dict(entries, kind: .ordered))
}

/// As `ckpt convert` does it, but for the flush to the disk, which is left out without `--fsync` as in `cp`.
func convert(_ arguments: Arguments) throws(CheckpointError) {
  if NativeFormat.recognises(arguments.path) {
    let options = TorchZip.WriteOptions(replaces: true, synced: arguments.synced)
    _ = try TorchZip.write(try NativeFormat.read(arguments.path).root, to: arguments.output, options: options)
  } else {
    var options = NativeFormat.WriteOptions()
    options.replaces = true
    options.synced = arguments.synced
    try NativeFormat.write(try TorchZip.read(arguments.path).root, to: arguments.output, options: options)
  }
}

/// Reads one byte of each page, so that a mapping is really loaded.
func touch(_ root: Value) throws(CheckpointError) -> (tensors: Int, sum: Int) {
  var tensors: [Tensor] = []
  root.forEachTensor { tensors.append($0) }
  var sum = 0
  for tensor in tensors {
    try tensor.source.withBytes { (bytes) throws(CheckpointError) in
      for offset in stride(from: 0, to: bytes.count, by: 4096) { sum &+= Int(bytes[offset]) }
    }
  }
  return (tensors.count, sum)
}

func seconds(_ duration: Duration) -> Double {
  Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}

func run(_ arguments: Arguments) throws(CheckpointError) {
  let clock = ContinuousClock()
  switch arguments.operation {
  case "save":
    let root = try makeTensors(arguments)
    var options = NativeFormat.WriteOptions()
    options.replaces = true
    options.synced = arguments.synced
    let start = clock.now
    try NativeFormat.write(root, to: arguments.path, options: options)
    print("{\"t\": \(seconds(clock.now - start))}")
  case "load":
    let start = clock.now
    let (tensors, sum) = try touch(try NativeFormat.read(arguments.path).root)
    print("{\"t\": \(seconds(clock.now - start)), \"n\": \(tensors), \"sum\": \(sum)}")
  case "convert":
    let start = clock.now
    try convert(arguments)
    print("{\"t\": \(seconds(clock.now - start))}")
  case "open":
    var times: [Double] = []
    var count = 0
    for _ in 0..<20 {
      let start = clock.now
      let root = try Format.input(arguments.path).read(arguments.path, Format.ReadOptions()).checkpoint.root
      times.append(seconds(clock.now - start))
      count = TensorTable(root).tensors.count
    }
    print("{\"t\": \(times.sorted()[10]), \"n\": \(count)}")
  default: throw CheckpointError(.usage, "expected save, load, convert or open")
  }
}

do throws(CheckpointError) {
  try run(Arguments(CommandLine.arguments))
} catch {
  let line = Array("ckpt-bench: \(error)\n".utf8)
  _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  exit(1)
}
