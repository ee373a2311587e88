import Checkpoint
import Testing

@Suite struct EditDistanceTests {
  @Test(
    arguments: [
      ("", "", 0), ("", "abc", 3), ("area", "area", 0), ("aera", "area", 1), ("lr", "rl", 1), ("ca", "abc", 3),
      ("betas", "beta", 1), ("weight", "wieghts", 2), ("exp_avg", "exp_avg_sq", 3), ("kitten", "sitting", 3),
    ] as [(String, String, Int)])
  func countsWhatMustBeChanged(a: String, b: String, distance: Int) {
    for limit in distance...9 {
      #expect(editDistance(Array(a.utf8), Array(b.utf8), limit: limit) == distance)
      #expect(editDistance(Array(b.utf8), Array(a.utf8), limit: limit) == distance)
    }
    for limit in 0..<distance { #expect(editDistance(Array(a.utf8), Array(b.utf8), limit: limit) > limit) }
  }
}
