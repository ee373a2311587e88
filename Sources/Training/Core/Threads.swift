internal import Kernels

/// The threads that tensors are computed with. Results do not depend on their number.
public enum Threads {
  /// How many take part, the calling one included: at first as many as there are cores.
  public static var count: Int {
    get { Int(ck_threads()) }
    set { ck_set_threads(Int32(clamping: newValue)) }
  }
}
