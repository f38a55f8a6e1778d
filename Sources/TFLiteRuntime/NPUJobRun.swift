import EthosUISA
import NPUSim

/// One NPU job that ran as part of a model.
public struct NPUJobRun: Sendable {
  /// Index of the operator in its subgraph.
  public let operatorIndex: Int
  /// The configuration its stream was compiled for.
  public let accelerator: Accelerator
  /// What it did.
  public let result: RunResult
}
