internal import COneDNN
internal import Checkpoint
extension Variable {
  func fillUniform(_ low: Double, _ high: Double, _ generator: Generator?) throws(CheckpointError) {
    var g = SystemRandomNumberGenerator()
    for i in 0..<count { storage.floats[i] = Float(Double.random(in: low...high, using: &g)) }
  }
}
func product(
  _ ta: Bool, _ tb: Bool, _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ lda: Int,
  _ b: UnsafePointer<Float>, _ ldb: Int, _ c: UnsafeMutablePointer<Float>, _ ldc: Int, adds: Bool
) throws(CheckpointError) {
  let T = CChar(UInt8(ascii: "T")), N = CChar(UInt8(ascii: "N"))
  _ = dnnl_sgemm(ta ? T : N, tb ? T : N, dnnl_dim_t(m), dnnl_dim_t(n), dnnl_dim_t(k), 1, a, dnnl_dim_t(lda), b, dnnl_dim_t(ldb), adds ? 1 : 0, c, dnnl_dim_t(ldc))
}
