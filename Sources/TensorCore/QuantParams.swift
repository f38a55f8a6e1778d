/// How integers stand for real numbers: `real = (stored - zeroPoint) * scale`.
///
/// One scale and zero point for the whole tensor, or one per index of `axis`. All our own models are
/// symmetric (zero point 0); imported quantised models may not be.
public struct QuantParams: Hashable, Sendable {
  /// One scale, or one per index of `axis`. Finite and positive.
  public var scales: [Float]
  /// As many as there are scales, or one for all.
  public var zeroPoints: [Int32]
  /// The axis the scales run along; nil for one scale.
  public var axis: Int?

  /// One scale for all.
  public init(scale: Float, zeroPoint: Int32 = 0) {
    scales = [scale]
    zeroPoints = [zeroPoint]
    axis = nil
  }

  /// One scale per index of `axis`, symmetric.
  public init(scales: [Float], axis: Int) {
    self.scales = scales
    zeroPoints = [0]
    self.axis = axis
  }

  /// Scales and zero points along an axis.
  public init(scales: [Float], zeroPoints: [Int32], axis: Int?) {
    self.scales = scales
    self.zeroPoints = zeroPoints
    self.axis = axis
  }

  /// The scale of index `i` along the axis (any index without an axis).
  public func scale(_ i: Int = 0) -> Float { axis == nil ? scales[0] : scales[i] }

  /// The zero point of index `i` along the axis.
  public func zeroPoint(_ i: Int = 0) -> Int32 {
    zeroPoints.count == 1 ? zeroPoints[0] : zeroPoints[i]
  }
}
