/// `value` rounded up to a multiple of `multiple`, which is positive.
@inlinable
func roundUp(_ value: Int, _ multiple: Int) -> Int {
  (value + multiple - 1) / multiple * multiple
}

/// The quotient rounded up; `divisor` is positive.
@inlinable
func ceilDivide(_ value: Int, _ divisor: Int) -> Int { (value + divisor - 1) / divisor }
