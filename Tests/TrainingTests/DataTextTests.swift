import Checkpoint
import Testing

@testable import Training

@Suite struct DataTextTests {
  @Test func charactersAreNumberedInTheirSortedOrder() throws {
    let file = try DataFile("x.txt", "héllo\nwörld€𝄞")
    let set = try TextDataset(file.path, tokens: .characters, context: 4)
    #expect(set.vocabulary == "\ndhlorwéö€𝄞".unicodeScalars.sorted())
    #expect(set.vocabularySize == 11)
    #expect(set.tokenCount == 13)
    #expect(set.count == 3)
    let batch = try set.batch([0, 8])
    #expect(batch.inputs.shape == [2, 4])
    #expect(set.decode(integers(batch.inputs)) == "héllrld€")
    #expect(set.decode(integers(batch.targets)) == "éllold€𝄞")
    #expect(set.inputInfo == SampleInfo(shape: [4], dtype: .int64, range: 0...10))
  }

  /// A letter and its decomposed form are two texts; line ends stay what they are.
  @Test func scalarsAreNeitherComposedNorTranslated() throws {
    let file = try DataFile("x.txt", "e\u{301}é\r\n")
    let set = try TextDataset(file.path, tokens: .characters, context: 1)
    #expect(set.tokenCount == 5)
    #expect(set.vocabulary == ["\n", "\r", "e", "é", "\u{301}"])
  }

  @Test func bytesAreTheirOwnNumbers() throws {
    let file = try DataFile("x.txt", [0, 255, 128, 10, 65, 66])
    let set = try TextDataset(file.path, tokens: .bytes, context: 2)
    #expect(set.vocabularySize == 256)
    #expect(integers(try set.batch([1, 3]).inputs) == [255, 128, 10, 65])
    #expect(integers(try set.batch([1, 3]).targets) == [128, 10, 65, 66])
    #expect(set.decode([65, 66]) == "AB")
  }

  @Test func validationUsesTheTrainingVocabulary() throws {
    let (train, other) = (try DataFile("a.txt", "abcabc"), try DataFile("b.txt", "ccb"))
    let set = try TextDataset(train.path, tokens: .characters, context: 2)
    let validation = try TextDataset(other.path, tokens: .characters, context: 2, vocabulary: set.vocabulary)
    #expect(integers(try validation.batch([0]).inputs) == [2, 2])
    let strange = try DataFile("c.txt", "ab\nc\u{E4}a")
    let error = #expect(throws: CheckpointError.self) {
      _ = try TextDataset(strange.path, tokens: .characters, context: 2, vocabulary: set.vocabulary + ["\n"])
    }
    #expect(error?.message == "the character U+E4 'ä' is not in the vocabulary")
    #expect(error?.place == "line 2")
    #expect(error?.file == strange.path)
  }

  @Test(
    arguments: [
      [0x61, 0xFF], [0x61, 0xC3], [0x61, 0xC0, 0x80], [0x61, 0xE0, 0x80, 0x80], [0x61, 0xED, 0xA0, 0x80],
      [0x61, 0xF0, 0x80, 0x80, 0x80], [0x61, 0xF4, 0x90, 0x80, 0x80], [0x61, 0x80], [0x61, 0xE2, 0x82],
    ] as [[UInt8]])
  func whatIsNotUTF8IsRefused(_ bytes: [UInt8]) throws {
    let file = try DataFile("x.txt", bytes)
    let error = #expect(throws: CheckpointError.self) {
      _ = try TextDataset(file.path, tokens: .characters, context: 1)
    }
    #expect(error?.message == "is not UTF-8")
    #expect(error?.place == "byte 1")
  }

  @Test func tokensAreLittleEndian16Bit() throws {
    let set = try TokenDataset(dataFixture("tokens.bin"), context: 8)
    #expect(set.tokenCount == 101)
    #expect(set.count == 12)
    let expected = (0..<101).map { $0 * 7919 % 50257 }
    #expect(set.vocabularySize == (expected.max() ?? 0) + 1)
    for start in [0, 1, 57, 92] {
      let batch = try set.batch([start])
      #expect(integers(batch.inputs) == Array(expected[start..<(start + 8)]))
      #expect(integers(batch.targets) == Array(expected[(start + 1)..<(start + 9)]))
    }
    for wrong in [-1, 93, Int.max] {
      let error = #expect(throws: CheckpointError.self) { _ = try set.batch([0, wrong]) }
      #expect(error?.message.hasPrefix("a window of 8 tokens can begin at 0..<93, not at") == true)
    }
    let error = #expect(throws: CheckpointError.self) { try set.checkTokens(vocabulary: 1000) }
    #expect(error?.message == "tokens must be in 0..<1000; the largest is \(set.vocabularySize - 1)")
    try set.checkTokens(vocabulary: 50257)
  }

  @Test func filesThatCannotBeTokensAreRefused() throws {
    let odd = try DataFile("x.bin", [1, 0, 2])
    let error = #expect(throws: CheckpointError.self) { _ = try TokenDataset(odd.path, context: 1) }
    #expect(error?.message == "3 bytes, an odd number; tokens take two each")
    let short = try DataFile("x.bin", [1, 0, 2, 0])
    let second = #expect(throws: CheckpointError.self) { _ = try TokenDataset(short.path, context: 2) }
    #expect(second?.message == "holds 2 tokens; a context of 2 needs at least 3")
    #expect(try TokenDataset(short.path, context: 1).count == 1)
    #expect(throws: CheckpointError.self) { _ = try TokenDataset(short.path, context: 0) }
    let empty = try DataFile("x.txt", "")
    #expect(throws: CheckpointError.self) { _ = try TextDataset(empty.path, tokens: .characters, context: 1) }
    #expect(throws: CheckpointError.self) { _ = try TextDataset(empty.path, tokens: .bytes, context: 1) }
  }

  /// nanoGPT's way of making a token file of a text, which Python did, against ours.
  @Test func theExampleTextAndItsTokensAgree() throws {
    let text = try TextDataset(exampleFixture("text.txt"), tokens: .characters, context: 256)
    #expect(text.vocabularySize == 78)
    #expect(text.tokenCount == 227_147)
    let tokens = try TokenDataset(exampleFixture("tokens.bin"), context: 256)
    for start in [0, 1000, 39_743] {
      #expect(integers(try text.batch([start]).targets) == integers(try tokens.batch([start]).targets))
    }
    _ = try TextDataset(
      exampleFixture("text-validation.txt"), tokens: .characters, context: 256, vocabulary: text.vocabulary)
  }
}
