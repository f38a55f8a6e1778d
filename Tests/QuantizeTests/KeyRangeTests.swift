import Foundation
import Testing

@testable import Quantize

/// The ranges of keys that are turned by their position.
@Suite struct KeyRangeTests {
  /// The outline of some points, as calibration collects it.
  private func outline(_ points: [SIMD2<Float>]) -> PairOutline {
    let support = (0..<SiteStatistics.directions).map { index in
      let direction = SiteStatistics.direction(index)
      return points.map { ($0 * direction).sum() }.max() ?? 0
    }
    return PairOutline(support[...])
  }

  @Test func aPointThatStaysNeedsNoRange() {
    let range = outline([SIMD2(3, -4)]).range(turn: 0, at: [0])
    #expect(abs(range.centre.x - 3) < 1e-4 && abs(range.centre.y + 4) < 1e-4)
    #expect(range.reach < 1e-4 && abs(range.largest - 4) < 1e-4)
  }

  @Test func aTurnMovesThePoint() {
    // An eighth of a turn takes (1, 0) to the diagonal.
    let range = outline([SIMD2(1, 0)]).range(turn: SiteStatistics.directions / 8, at: [0])
    #expect(abs(range.centre.x - 0.7071) < 1e-3 && abs(range.centre.y - 0.7071) < 1e-3)
  }

  @Test func allAnglesNeedTheWholeCircle() {
    let range = outline([SIMD2(0, 2)]).range(turn: 0, at: Array(0..<PairOutline.steps))
    #expect(abs(range.reach - 2) < 1e-3 && abs(range.centre.x) < 1e-3)
  }

  @Test func betweenDirectionsTheBoundHolds() {
    let points: [SIMD2<Float>] = [SIMD2(1, 0.3), SIMD2(-0.2, 2), SIMD2(0.9, -1)]
    let shape = outline(points)
    for step in 0..<PairOutline.steps {
      let angle = Float(step) / Float(PairOutline.steps) * 2 * Float.pi
      let range = shape.range(turn: 0, at: [step])
      for point in points {
        let x = point.x * cos(angle) - point.y * sin(angle)
        #expect(abs(x - range.centre.x) <= range.reach + 1e-3)
      }
    }
  }

  @Test func coldStartsAreShortAndFew() {
    let sequence = (0..<2048).map { Int32($0) }
    let starts = Calibrator.coldStarts(of: [sequence])
    #expect(starts.count > 50 && starts.count <= 64 && starts.allSatisfy { $0.count == 8 })
    #expect(starts.allSatisfy { $0[0] > 0 })
    // Texts that all start with the same token do so here too.
    let begun = Calibrator.coldStarts(of: [[1] + sequence, [1] + sequence])
    #expect(begun.allSatisfy { $0[0] == 1 && $0.count == 9 })
    #expect(Calibrator.coldStarts(of: [[5]]).isEmpty && Calibrator.coldStarts(of: []).isEmpty)
  }
}
