import Checkpoint

/// What Keras calls things in its files.
enum Keras {
  /// The record of a `.keras` archive that holds the variables.
  static let weights = "model.weights.h5"
  static let config = "config.json"
  static let metadata = "metadata.json"
  /// Groups of Keras 1 and 2.
  static let modelWeights = "model_weights"
  static let optimizerWeights = "optimizer_weights"
  /// The group in which Keras 3 puts an object's variables, as datasets `0`, `1`, ….
  static let variables = "vars"
  static let layerNames = "layer_names"
  static let weightNames = "weight_names"

  /// The attribute of a tree's root that says which of Keras' files it was: `h5`, `weights.h5` or `keras`.
  static let marker = NestedModel.attribute

  /// How deep groups may lie in each other.
  static let maximumDepth = 64
  /// Groups and datasets of one file.
  static let maximumObjects = 100_000
  /// Bytes of all attributes of one file, and of one text in an archive: a model's description takes a few megabytes.
  static let maximumText = 64 << 20
}
