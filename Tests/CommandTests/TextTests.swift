import CommandSupport
import Testing

@testable import ckpt

@Suite struct TextTests {
  @Test func numbersAreGrouped() {
    #expect([0, 7, 999, 1000, 1_234_567, -1000].map(grouped) == ["0", "7", "999", "1,000", "1,234,567", "-1,000"])
    #expect(counted(1, "tensor") == "1 tensor")
    #expect(counted(2000, "tensor") == "2,000 tensors")
  }

  @Test func sizesHaveThreeDigits() {
    let sizes = [0, 999, 1000, 1999, 12_345, 99_949, 99_950, 999_499, 999_500, 1_460_000, 5_000_000_000_000]
    #expect(
      sizes.map(size) == [
        "0 B", "999 B", "1.00 kB", "2.00 kB", "12.3 kB", "99.9 kB", "100 kB", "999 kB", "1.00 MB", "1.46 MB", "5.00 TB",
      ])
  }

  @Test func shortNumbers() {
    #expect(
      [0, 1.5, 0.00155, 1e-8, 123_456.7, -2].map { short($0, digits: 4) } == [
        "0", "1.5", "0.00155", "1e-08", "1.235e+05", "-2",
      ])
    #expect([Double.nan, .infinity, -.infinity].map { short($0) } == ["nan", "inf", "-inf"])
  }

  @Test func controlCharactersAreEscaped() {
    #expect(printable("a\u{1B}[31mb") == "a\\u{1B}[31mb")
    #expect(printable("line\nbreak\t") == "line\\nbreak\\t")
    #expect(printable("\u{202E}x\u{2028}") == "\\u{202E}x\\u{2028}")
    #expect(printable("naïve 漢字 🦀") == "naïve 漢字 🦀")
    #expect(label("") == "''")
  }

  @Test func widthsOfCharacters() {
    #expect(["abc", "漢字", "e\u{301}", "🦀"].map { columns($0) } == [3, 4, 1, 2])
  }

  @Test func theMiddleGivesWay() {
    #expect(shortened("transformer.h.0.attn", to: 20) == "transformer.h.0.attn")
    #expect(shortened("transformer.h.0.attn", to: 9) == "tran…attn")
    #expect(shortened("漢字漢字", to: 5) == "漢…字")
    #expect(cut("transformer", to: 6) == "trans…")
  }
}

@Suite struct TableTests {
  private var table: Table {
    var table = Table([
      Table.Column(title: "name", isFlexible: true), Table.Column(title: "unused"),
      Table.Column(title: "size", alignment: .right), Table.Column(title: "", isDim: true),
    ])
    table.rows = [["weight", "", "5"], ["a.long.name.of.a.tensor", "", "12,000", "note"]]
    return table
  }

  @Test func columnsAreAlignedAndEmptyOnesLeftOut() {
    #expect(
      table.lines(.plain) == [
        "  name                       size", "  weight                        5",
        "  a.long.name.of.a.tensor  12,000  note",
      ])
  }

  @Test func namesAreCutOnANarrowTerminalOnly() {
    let lines = table.lines(Terminal(width: 34, hasColour: false))
    #expect(lines.allSatisfy { columns($0) <= 34 })
    #expect(lines[2] == "  a.long.na…a.tensor  12,000  note")
  }

  @Test func colourDoesNotDisturbTheAlignment() {
    let lines = table.lines(Terminal(width: nil, hasColour: true))
    #expect(lines[2] == "  a.long.name.of.a.tensor  12,000  \u{1B}[2mnote\u{1B}[0m")
  }
}

@Suite struct ProgressTests {
  @Test func line() {
    #expect(
      Progress.line(done: 500_000_000, total: 1_000_000_000, milliseconds: 2000, width: 80)
        == "[###############...............] 50 %  500 MB of 1.00 GB, 250 MB/s")
  }

  @Test(arguments: [10, 30, 40, 60, 80]) func lineNeverWraps(width: Int) {
    let line = Progress.line(done: 500_000_000, total: 1_000_000_000, milliseconds: 2000, width: width)
    #expect(columns(line) < width, "\(line)")
  }
}
