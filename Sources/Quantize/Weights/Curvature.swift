import GraphIR

/// What calibration learns about how errors in weights reach the model's predictions.
///
/// A layer computes `y = W x`. To second order, errors `E` in `W` cost
/// `½ trace(output · E · gram · Eᵀ)` nats of divergence per token, with `output` the mean outer product
/// of the loss's gradients at the layer's result, and `gram` that of what the layer reads, each token
/// counted by the square of its gradient: the Kronecker approximation of Martens & Grosse,
/// "Optimizing Neural Networks with Kronecker-factored Approximate Curvature" (2015). Labels are drawn
/// from the model's own predictions, so that the mean is the Fisher information.
public struct Curvature: Sendable {
  /// Mean outer products `[k, k]`, row-major, of the values that linear layers read, by the site
  /// that makes them. Tokens at which errors matter more count more.
  public var grams: [Site: [Float]] = [:]
  /// Mean outer products `[m, m]`, row-major, of the gradients at the results of linear layers, by the
  /// layer's site; very wide layers have none.
  public var outputs: [Site: [Float]] = [:]
  /// The mean square of the loss's gradient at each channel of a linear layer's result, by the
  /// layer's site.
  public var sensitivities: [Site: [Float]] = [:]
  /// How many equally weighted tokens say as much as those behind each of these matrices.
  public var effectiveTokens: [Site: Double] = [:]
  /// Tokens behind all of these.
  public var tokens = 0
}
