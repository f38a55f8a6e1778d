/// The smallest lane, halving the vector each step; the library's `min()` goes lane by lane.
@inline(__always)
func leastLane(_ vector: SIMD16<Int32>) -> Int32 {
  let eight = vector.lowHalf.replacing(
    with: vector.highHalf, where: vector.highHalf .< vector.lowHalf)
  let four = eight.lowHalf.replacing(with: eight.highHalf, where: eight.highHalf .< eight.lowHalf)
  return min(min(four[0], four[1]), min(four[2], four[3]))
}

/// The sum of the lanes, halving the vector each step.
@inline(__always)
func laneSum(_ vector: SIMD16<Int32>) -> Int32 {
  let eight = vector.lowHalf &+ vector.highHalf
  let four = eight.lowHalf &+ eight.highHalf
  return four[0] &+ four[1] &+ four[2] &+ four[3]
}
