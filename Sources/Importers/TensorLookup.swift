import Containers
import GraphIR
import Support
import TensorCore

/// Takes tensors out of a container by name and checks their shapes, collecting every problem so
/// that the user sees all missing tensors at once.
struct TensorLookup {
  /// The file's name, for diagnostics.
  let file: String
  /// Finds a tensor.
  let find: (String) -> NamedTensor?
  private(set) var problems: [Diagnostic] = []

  /// A lookup in one container.
  init(file: String, find: @escaping (String) -> NamedTensor?) {
    self.file = file
    self.find = find
  }

  /// The tensor called `name`, which must have the given shape.
  mutating func take(_ name: String, _ shape: Shape) -> Constant {
    guard let constant = takeIfPresent(name, shape) else {
      if find(name) == nil {
        problems.append(
          Diagnostic(
            "import.missing-tensor", "tensor \(name) \(shape) is missing",
            at: SourceLocation(file: file, element: name),
            wayOut: "check that the file is complete and of a supported architecture"))
      }
      return Constant(name: name, type: TensorType(shape, .float32), data: nil)
    }
    return constant
  }

  /// The tensor called `name` if there is one, which then must have the given shape.
  mutating func takeIfPresent(_ name: String, _ shape: Shape) -> Constant? {
    guard let tensor = find(name) else { return nil }
    guard tensor.shape == shape else {
      problems.append(
        Diagnostic(
          "import.tensor-shape",
          "tensor \(name) is \(tensor.shape); the model's header implies \(shape)",
          at: SourceLocation(file: file, element: name, byteOffset: tensor.byteOffset)))
      return nil
    }
    if case .dense(let element) = tensor.data.encoding, element.isInteger || element == .bool {
      problems.append(
        Diagnostic(
          "import.tensor-type", "tensor \(name) holds \(element.rawValue), not real numbers",
          at: SourceLocation(file: file, element: name, byteOffset: tensor.byteOffset)))
      return nil
    }
    return Constant(name: name, type: TensorType(shape, .float32), data: tensor.data)
  }

  /// Throws what was found wrong, at most the first 20 problems.
  func finish() throws(DiagnosticError) {
    guard !problems.isEmpty else { return }
    var shown = Array(problems.prefix(20))
    if problems.count > shown.count {
      shown[shown.count - 1].notes.append("and \(problems.count - shown.count) more")
    }
    throw DiagnosticError(shown)
  }
}
