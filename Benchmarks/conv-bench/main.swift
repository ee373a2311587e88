import Checkpoint
import Glibc
@testable import Training

func now() -> Double { var t = timespec(); clock_gettime(CLOCK_MONOTONIC, &t); return Double(t.tv_sec) * 1e3 + Double(t.tv_nsec) * 1e-6 }
func time(_ name: String, _ body: () throws -> Void) rethrows {
  for _ in 0..<3 { try body() }
  var ts: [Double] = []
  for _ in 0..<15 { let t = now(); try body(); ts.append(now() - t) }
  ts.sort()
  func r(_ x: Double) -> Double { (x * 100).rounded() / 100 }
  print(name, "\(r(ts[0]))/\(r(ts[7]))")
}
func random(_ shape: [Int], _ layout: Variable.Layout = .contiguous, grad: Bool = false) throws -> Variable {
  let n = shape.reduce(1, *)
  let s = try Storage(byteCount: n * 4)
  var x: UInt64 = 88172645463325252
  for i in 0..<n { x ^= x << 13; x ^= x >> 7; x ^= x << 17; s.floats[i] = Float(x % 2000) / 1000 - 1 }
  let v = Variable(shape: shape, dtype: .float32, layout: layout, storage: s)
  v.requiresGrad = grad
  return v
}
func back(_ y: Variable, _ g: Variable) throws {
  let total = try Storage(byteCount: 4)
  let loss = Variable.result(of: [y], shape: [], storage: total) { (_) throws(CheckpointError) in try y.addGradient(g.storage) }
  try loss.backward()
}
func bench(_ name: String, _ x: Variable, _ params: [Variable?], _ f: (Variable) throws -> Variable) throws {
  let y = try f(x)
  let g = try random(y.shape, y.layout)
  try time(name + " fwd") { _ = try withoutGradients { () throws(CheckpointError) in do { return try f(x) } catch { throw error as! CheckpointError } } }
  try time(name + " fwd+bwd") {
    x.gradient = nil
    for p in params { p?.gradient = nil }
    try back(try f(x), g)
  }
}
Threads.count = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1])! : 1
let c1 = try Conv2d(1, 32, kernelSize: 3), c2 = try Conv2d(32, 64, kernelSize: 3)
let pool = MaxPool2d(2), bn = try BatchNorm2d(64)
let x1 = try random([64, 1, 28, 28])
let x2 = try random([64, 32, 26, 26], .channelsLast, grad: true)
let x3 = try random([64, 64, 24, 24], .channelsLast, grad: true)
let x3c = try random([64, 64, 24, 24], .contiguous, grad: true)
let x4 = try random([64, 64, 12, 12], .channelsLast, grad: true)
try bench("conv1", x1, [c1.weight, c1.bias]) { try c1($0) }
try bench("conv1+relu", x1, [c1.weight, c1.bias]) { try c1.forward($0, relu: true, pool: nil) }
try bench("conv2", x2, [c2.weight, c2.bias]) { try c2($0) }
try bench("conv2+relu", x2, [c2.weight, c2.bias]) { try c2.forward($0, relu: true, pool: nil) }
try bench("conv2+relu+pool", x2, [c2.weight, c2.bias]) { try c2.forward($0, relu: true, pool: pool) }
try bench("pool nhwc", x3, []) { try pool($0) }
try bench("pool nchw", x3c, []) { try pool($0) }
try bench("avgpool nhwc", x3, []) { try avgPool2d($0, kernelSize: 2) }
try bench("bn nhwc", x3, [bn.weight, bn.bias]) { try bn($0) }
try bench("bn nchw", x3c, [bn.weight, bn.bias]) { try bn($0) }
try bench("flatten", x4, []) { try Flatten()($0) }
try bench("all", x1, [c1.weight, c1.bias, c2.weight, c2.bias]) { try Flatten()(c2.forward(try c1.forward($0, relu: true, pool: nil), relu: true, pool: pool)) }
try bench("all separate", x1, [c1.weight, c1.bias, c2.weight, c2.bias]) { try Flatten()(pool(c2.forward(try c1.forward($0, relu: true, pool: nil), relu: true, pool: nil))) }
