import Checkpoint
import Testing

@Suite struct GlobTests {
  @Test(arguments: [
    ("*", ""), ("*", "a.b.c"), ("a.*", "a.b.c"), ("*.weight", "layer.0.weight"), ("layer.?.weight", "layer.0.weight"),
    ("layer.[0-3].*", "layer.2.bias"), ("[!a]b", "xb"), ("[]]", "]"), ("a[", "a["), ("\\*", "*"), ("*ab", "aab"),
    ("*a*b*c", "xxaxxbxxabc"), ("h.?", "h.ä"), ("[a-c-]x", "-x"), ("", ""), ("**x", "x"),
  ])
  func patternFits(pattern: String, text: String) {
    #expect(Glob(pattern).matches(text))
  }

  @Test(arguments: [
    ("a", "ab"), ("a*", "ba"), ("?", ""), ("layer.[0-3].*", "layer.4.bias"), ("[!a]b", "ab"), ("\\*", "x"),
    ("*.weight", "weight"), ("", "x"), ("*b", "ba"), ("\u{E9}", "e\u{301}"),
  ])
  func patternDoesNotFit(pattern: String, text: String) {
    #expect(!Glob(pattern).matches(text))
  }

  @Test func manyStarsStayFast() {
    let text = String(repeating: "a", count: 3000)
    #expect(!Glob(String(repeating: "*a", count: 40) + "b").matches(text))
  }
}
