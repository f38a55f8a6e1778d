import GraphIR
import TensorCore

/// Why the removal of data movement keeps the meaning of a function: a claim about where elements come
/// from, made by a pass and checked by `CertificateChecker` against the graphs before and after it.
///
/// `before` says from which element of `source` each element of `entry` comes in the graph as it was,
/// by the movement operations `removed`. `after` says the same for the canonical operation that took their
/// place, by that operation's definition. The claim holds when both are the same map.
public struct Certificate: Hashable, Sendable {
  /// The pass that makes the claim.
  public var pass: String
  /// The function it is about.
  public var function: String
  /// Where in the user's model the removed operations come from.
  public var site: String
  /// The value whose elements are traced, in the graph before.
  public var entry: ValueID
  /// What they come from, in the graph before.
  public var source: Operand
  /// The results of the movement operations between the two, in the graph before.
  public var removed: [ValueID]
  /// From elements of `entry` to elements of `source`, through `removed`.
  public var before: IndexMap
  /// From elements of `entry` to the elements that the new graph reads for them.
  public var after: IndexMap
  /// How `after` follows from the new graph.
  public var meaning: Meaning

  /// What the new graph reads, and by which rule.
  public enum Meaning: Hashable, Sendable {
    /// The value that takes the place of the entry in the new graph: its own movement operations lead
    /// back to the counterpart of the source.
    case walk(ValueID, to: Operand)
    /// Another shape for the same order of elements, between operations that are gone too.
    case renaming
    /// An operand of the attention that defines a value of the new graph; its heads hold channels in the
    /// given order.
    case attention(AttentionPart, of: ValueID, channels: IndexMap)
    /// An operand, by its place, of an elementwise operation that defines a value of the new graph.
    case sunkOperand(Int, of: ValueID)
    /// The result of the elementwise operation: the value that takes the entry's place, and the operation's.
    case sunkResult(ValueID, of: ValueID)
    /// What the attention hides by itself: rows of a causal table, the same for all heads.
    case mask(ConstantID, of: ValueID)
    /// The result of the attention: the value that takes the entry's place, and the attention's.
    case attentionResult(ValueID, of: ValueID)
    /// The rows written into a state of the new graph; its heads hold channels in the given order.
    case cacheRows(StateID, channels: IndexMap)
    /// The reading of a state whose heads hold channels in the given order: the value of the new graph
    /// that takes the place of the entry.
    case cacheReading(StateID, by: ValueID, channels: IndexMap)
    /// A part of a rotation of pairs, which defines a value of the new graph.
    case rotation(RotationPart, Rotation)
  }

  /// The operands of attention.
  public enum AttentionPart: String, Hashable, Sendable {
    case query, key, value
  }

  /// The parts of a rotation.
  public enum RotationPart: Hashable, Sendable {
    /// The number that is rotated: element `i` of the entry is the rotated tensor's `direct(i)`.
    case direct
    /// The other number of its pair, negated where `negated` says 1.
    case partner(negated: IndexMap?)
    /// The cosine, of a table with rows of the given width.
    case cosine(width: Int)
    /// The sine.
    case sine(width: Int)
    /// The result: the value of the new graph that takes the entry's place.
    case result(ValueID)
  }

  /// A rotation: which numbers form pairs and how an entry's elements map to what is rotated.
  public struct Rotation: Hashable, Sendable {
    /// The rotation's result in the new graph.
    public var value: ValueID
    /// Channels of a head.
    public var headDim: Int
    /// Channels of a row.
    public var width: Int
    /// Which channels of a head form a pair.
    public var pairing: Pairing
    /// From elements of the entry to elements of the tensor `[n, width]` that is rotated.
    public var direct: IndexMap
  }

  /// Which channels of a head form a pair.
  public enum Pairing: String, Hashable, Sendable {
    /// 2i and 2i+1: the canonical order.
    case neighbours
    /// i and i + head_dim/2: the order of Hugging Face's models.
    case halves
  }
}

/// That a constant of the new graph holds the numbers of constants of the old one in another order.
public struct ConstantCertificate: Hashable, Sendable {
  /// The pass that makes the claim.
  public var pass: String
  /// The new constant, in the graph after.
  public var constant: ConstantID
  /// What it was made of.
  public var origin: Origin

  /// How a new constant follows from old ones, by their IDs in the graph before.
  public enum Origin: Hashable, Sendable {
    /// Rows (axis 0) of a matrix or vector, paired neighbours from halves within heads.
    case pairedRows(ConstantID, headDim: Int)
    /// Rows of cosines and sines, alternating, from two tables whose rows hold the angles of half a head's
    /// pairs, or those of a whole head, every angle twice in the order of its pairing.
    case rotationTable(cosine: ConstantID, sine: ConstantID, pairing: Certificate.Pairing)
  }
}

/// The maps of a rotation of a whole tensor `[n, width]`.
struct RotationMaps {
  /// Elements of the tensor.
  let count: Int
  /// Channels of a row.
  let width: Int
  /// Channels of a head.
  let headDim: Int
  /// Which channels form a pair.
  let pairing: Certificate.Pairing

  /// From the rotated tensor's elements to the same numbers in the order of the new graph, whose pairs
  /// are neighbours.
  var reordering: IndexMap {
    guard pairing == .halves else { return .identity(count) }
    return IndexMap(extents: [count / headDim, 2, headDim / 2], strides: [headDim, 1, 2])
  }

  /// From the rotated tensor's elements to the other ones of their pairs.
  var partner: IndexMap {
    let half = headDim / 2
    switch pairing {
    case .neighbours:
      return IndexMap(extents: [count / 2, 2], strides: [2, -1], offset: 1)
    case .halves:
      return IndexMap(
        extents: [count / headDim, 2, half], strides: [headDim, -half, 1], offset: half)
    }
  }

  /// From the rotated tensor's elements to 1 for the first of a pair, 0 for the second.
  var first: IndexMap {
    let half = headDim / 2
    switch pairing {
    case .neighbours: return IndexMap(extents: [count / 2, 2], strides: [0, -1], offset: 1)
    case .halves:
      return IndexMap(extents: [count / headDim, 2, half], strides: [0, -1, 0], offset: 1)
    }
  }

  /// From the rotated tensor's elements to those of a table with rows of `tableWidth` angles: half a
  /// head's, or a head's with every angle there twice.
  func angle(tableWidth: Int) -> IndexMap {
    let (rows, heads, half) = (count / width, width / headDim, headDim / 2)
    let isWhole = tableWidth == headDim
    switch pairing {
    case .neighbours:
      return IndexMap(
        extents: [rows, heads, half, 2], strides: [tableWidth, 0, isWhole ? 2 : 1, isWhole ? 1 : 0])
    case .halves:
      return IndexMap(
        extents: [rows, heads, 2, half], strides: [tableWidth, 0, isWhole ? half : 0, 1])
    }
  }
}

extension Certificate.Rotation {
  /// The maps of the rotation of a tensor of `count` elements.
  func over(count: Int) -> RotationMaps {
    RotationMaps(count: count, width: width, headDim: headDim, pairing: pairing)
  }
}
