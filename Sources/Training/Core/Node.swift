import Checkpoint

/// One step of a computation, remembered for the way back.
final class Node {
  /// The values that the step was computed from. They are kept alive, with the nodes that computed them.
  let inputs: [Variable]
  /// Takes the gradient of the result and adds to the gradients of the inputs.
  let backward: (Storage) throws(CheckpointError) -> Void
  /// Nodes are numbered as they are made, so a node's inputs always have smaller numbers.
  let number: UInt64

  init(number: UInt64, inputs: [Variable], backward: @escaping (Storage) throws(CheckpointError) -> Void) {
    self.number = number
    self.inputs = inputs
    self.backward = backward
  }
}
