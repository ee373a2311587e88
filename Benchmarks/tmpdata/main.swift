import Checkpoint
import Training
func best(_ name: String, _ n: Int, _ body: () throws -> Void) rethrows {
  var b = Duration.seconds(99)
  for _ in 0..<7 {
    let t = try ContinuousClock().measure { for _ in 0..<n { try body() } }
    b = min(b, t / n)
  }
  print(name, b)
}
func f32(_ n: Int) -> [Float] { (0..<n).map { Float($0 % 97) } }
let rows = 20000
for (name, dtype) in [("mlp f32", DType.float32), ("mlp u8", .uint8)] {
  let src: any ByteSource = dtype == .float32 ? BufferSource(elements: f32(rows * 784)) : BufferSource([UInt8](repeating: 7, count: rows * 784))
  let y = try Tensor(dtype: .int64, shape: [rows], source: BufferSource(elements: (0..<rows).map { Int64($0 % 10) }))
  let clock = ContinuousClock()
  let start = clock.now
  let set = try ArrayDataset(inputs: Tensor(dtype: dtype, shape: [rows, 784], source: src), targets: y)
  print("open", clock.now - start)
  var s = try set.sampler(batch: 128, shuffle: true, seed: 1)
  try best(name + " next+batch", 500) { _ = try set.batch(s.next()) }
  let few = try set.sampler(batch: 128, shuffle: false, seed: 1)
  var f = few
  let idx = f.next()
  try best(name + " batch same", 500) { _ = try set.batch(idx) }
}
let csv = try CSVDataset("fixtures/examples/linear.csv", targets: ["y"])
var s = try csv.sampler(batch: 64, shuffle: true, seed: 1)
best("linear next", 100000) { _ = s.next() }
try best("linear next+batch", 100000) { _ = try csv.batch(s.next()) }
let idx = s.next()
try best("linear batch", 100000) { _ = try csv.batch(idx) }
let text = try TextDataset("fixtures/examples/text.txt", tokens: .characters, context: 256)
var w = try text.sampler(batch: 12, shuffle: true, seed: 1)
try best("gpt next+batch", 10000) { _ = try text.batch(w.next()) }
var big = try Sampler(count: 10_000_000, batch: 1, shuffle: true, seed: 1)
best("permutation 10M", 1) { try! big.seek(afterBatches: 10_000_000 * (big.epoch + 1)); _ = big.next() }
