import Checkpoint
import Training

/// The sets that a config names, opened.
struct RunData {
  var train: any Dataset
  var validation: (any Dataset)?
}

/// Opens data sets. Everything in them is looked at once.
struct DataBuilder {
  let config: RunConfig
  /// What errors call the config, and the folder that its paths begin in.
  let configName: String
  let folder: String

  /// - Throws: what is wrong with a file: `missing`, `damaged` with the row.
  func open() throws(CheckpointError) -> RunData {
    let train = try open(config.data.train, vocabulary: nil)
    guard let source = config.data.validation else { return RunData(train: train) }
    let vocabulary = (train as? TextDataset)?.vocabulary
    return RunData(
      train: train, validation: try open(source, vocabulary: vocabulary?.isEmpty ?? true ? nil : vocabulary))
  }

  private func open(_ source: DataSource, vocabulary: [Unicode.Scalar]?) throws(CheckpointError) -> any Dataset {
    do throws(CheckpointError) {
      return try dataset(source, vocabulary: vocabulary)
    } catch {
      throw explained(error, source)
    }
  }

  private func dataset(_ source: DataSource, vocabulary: [Unicode.Scalar]?) throws(CheckpointError) -> any Dataset {
    let kind: TargetKind = if case .crossEntropy = config.loss.kind { .labels } else { .numbers }
    switch source.kind {
    case .arrays(let file, let inputs, let targets):
      return try ArrayDataset(file: path(file), inputs: inputs.value, targets: targets.value, kind: kind)
    case .files(let inputs, let targets):
      return try ArrayDataset(inputsFile: path(inputs), targetsFile: path(targets), kind: kind)
    case .table(let file, let inputs, let targets):
      return try CSVDataset(path(file), inputs: inputs.map(\.value), targets: targets.map(\.value), kind: kind)
    case .text(let file, let isBytes):
      return try TextDataset(
        path(file), tokens: isBytes ? .bytes : .characters, context: context, vocabulary: vocabulary)
    case .tokens(let file): return try TokenDataset(path(file), context: context)
    }
  }

  private func path(_ file: String) -> String { Paths.join(folder, file) }

  private var context: Int {
    if let own = config.data.context { return own.value }
    if case .gpt(let gpt) = config.model { return gpt.context }
    return 1
  }

  /// The error, with where the config names the file. One that is not there may be elsewhere now.
  private func explained(_ error: CheckpointError, _ source: DataSource) -> CheckpointError {
    let place =
      switch source.place {
      case .mark(let line, let column): "\(configName):\(line):\(column)"
      case .option(let text): "--set \(text)"
      case .stored: "the config in \(configName)"
      }
    var copy = error
    if error.code == .missing {
      copy.advice =
        "\(place) names it; its relative paths begin in '\(folder)'. Name another place with --set \(source.key)=PATH."
    } else if error.advice == nil {
      copy.advice = "\(place) names this file; nothing was run."
    }
    return copy
  }
}

extension DataSource {
  /// The key that names the file, for `--set`.
  var key: String {
    switch kind {
    case .arrays, .table: "\(path).file"
    case .files: "\(path).inputs"
    case .text: "\(path).text"
    case .tokens: "\(path).bin"
    }
  }

  /// Where the targets are named.
  var targetsPlace: (ConfigPlace, String) {
    switch kind {
    case .arrays(_, _, let targets): (targets.place, targets.path)
    case .table(_, _, let targets): targets.first.map { ($0.place, $0.path) } ?? (place, path)
    default: (place, path)
    }
  }
}
