/// When a run saves, and which of its files it keeps.
public struct CheckpointPolicy: Sendable, Equatable {
  /// Save every so many steps.
  public var every: Int?
  /// Save when so many minutes have gone by since the last time.
  public var minutes: Double?
  /// How many of the newest files stay; nil for all.
  public var keep: Int?
  /// Files of steps that are a multiple of this stay for good.
  public var keepEvery: Int?
  /// Whether `best.h5` is written whenever the validation loss is the smallest so far.
  public var keepBest: Bool
  /// Whether files are written in the background, from a copy.
  public var inBackground: Bool

  public init(
    every: Int? = nil, minutes: Double? = nil, keep: Int? = nil, keepEvery: Int? = nil, keepBest: Bool = false,
    inBackground: Bool = true
  ) {
    self.every = every
    self.minutes = minutes
    self.keep = keep
    self.keepEvery = keepEvery
    self.keepBest = keepBest
    self.inBackground = inBackground
  }
}
