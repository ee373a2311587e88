internal import Kernels

/// Lets growing arrays stay in the heap, whose pages are used again. To be called once, when a short process starts.
public func keepHeap() { ck_keep_heap() }
