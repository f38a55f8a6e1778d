import GraphIR

/// What calibration learns about how errors in weights reach the model's predictions.
///
/// A layer computes `y = W x`. To second order, errors `E` in `W` cost
/// `½ Σ_o sensitivity_o · E_o · gram · E_oᵀ` nats of divergence per token, with the gram matrix of
/// what the layer reads and the mean square of the loss's gradient at each of its results: the
/// Kronecker approximation of Martens & Grosse, "Optimizing Neural Networks with Kronecker-factored
/// Approximate Curvature" (2015), with a diagonal second factor.
public struct Curvature: Sendable {
  /// Mean outer products `[k, k]`, row-major, of the values that linear layers read, by the site
  /// that makes them.
  public var grams: [Site: [Float]] = [:]
  /// The mean square of the loss's gradient at each channel of a linear layer's result, by the
  /// layer's site. The labels are drawn from the model's own predictions, so that the mean square
  /// is the Fisher information.
  public var sensitivities: [Site: [Float]] = [:]
  /// Tokens behind the gram matrices.
  public var tokens = 0
}
