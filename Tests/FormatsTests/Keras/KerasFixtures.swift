import Checkpoint
import Testing

@testable import CheckpointFormats

/// What `make_keras_fixtures.py` tells of a file that Keras wrote.
struct KerasExpected {
  var tensors: [String: (dtype: String, shape: [Int], sha256: String)] = [:]
  /// Path of an optimizer's tensor: the parameter that it is for, and what it is of it.
  var slots: [String: (parameter: String, slot: String)] = [:]

  init(_ name: String) throws {
    let bytes = try fileBytes(kerasFixture("\(name).json"))
    guard case .dict(let root)? = String(decoding: bytes, as: UTF8.self).jsonTree,
      case .dict(let tensors)? = root["tensors"], case .dict(let slots)? = root["optimizer"]
    else { throw CheckpointError(.damaged, "the fixture's record") }
    for entry in tensors.entries {
      guard case .sequence(_, let items) = entry.value, items.count == 3, case .string(let dtype) = items[0],
        case .sequence(_, let sizes) = items[1], case .string(let hash) = items[2]
      else { continue }
      let shape = sizes.compactMap { if case .int(let size) = $0 { Int(size) } else { nil } }
      self.tensors[entry.key.text] = (dtype, shape, hash)
    }
    for entry in slots.entries {
      guard case .sequence(_, let items) = entry.value, items.count == 2, case .string(let parameter) = items[0],
        case .string(let slot) = items[1]
      else { continue }
      self.slots[entry.key.text] = (parameter, slot)
    }
  }
}

func kerasFixture(_ name: String) -> String { "\(fixtureFolder)/keras/\(name)" }

func readKeras(_ name: String, _ change: (inout Format.ReadOptions) -> Void = { _ in }) throws -> Format.Opened {
  var options = Format.ReadOptions()
  change(&options)
  let path = kerasFixture(name)
  return try Format.input(path).read(path, options)
}

extension Value {
  func entry(named key: String) -> Value? { if case .dict(let dict) = self { dict[key] } else { nil } }

  /// The tensors by their paths.
  var tensorsByPath: [String: Tensor] {
    get throws {
      var found: [String: Tensor] = [:]
      try forEachTensor { (_, text, tensor) throws(CheckpointError) in found[text] = tensor }
      return found
    }
  }
}
