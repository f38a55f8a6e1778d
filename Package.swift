// swift-tools-version: 6.1
import PackageDescription

// The module graph is the architecture: the arrows below are the only ones allowed
// (Docs/Architecture.md). NPUSim must never gain an arrow to GraphIR, Tiling or Codegen.

/// One library module of ours: its name and what it may import.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies)
}

/// The tests of one module; `TestKit` is shared by all of them.
func tests(_ name: String, _ more: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.target(name: name), "TestKit"] + more,
    path: "Tests/\(name)Tests")
}

let package = Package(
  name: "Swiftlet",
  products: [
    .executable(name: "swiftlet", targets: ["swiftlet"]),
    .library(name: "SwiftletSession", targets: ["Session"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    module("Support"),
    module("TensorCore", ["Support"]),
    module("GraphIR", ["TensorCore", "Support"]),
    // Verified access to FlatBuffers, over the headers of Debian's libflatbuffers-dev.
    .target(name: "CTFLite"),
    module("Containers", ["Support", "TensorCore", "CTFLite"]),
    module("Tokenizers", ["Support"]),
    module("Importers", ["Containers", "GraphIR", "Tokenizers"]),
    module("Passes", ["GraphIR", "TensorCore", "Support"]),
    // Products of the float interpreter for wider registers than the package is compiled for.
    .target(name: "CFloatKernels"),
    module("Reference", ["GraphIR", "TensorCore", "Support", "CFloatKernels"]),
    module("Quantize", ["GraphIR", "Reference", "EthosUISA", "TensorCore", "Support"]),
    module("TargetModel", ["TensorCore", "Support", .product(name: "Yams", package: "Yams")]),
    module("EthosUISA", ["TensorCore", "Support"]),
    module("NPUTiming", ["EthosUISA"]),
    module("Tiling"),
    module("ProgramFormat", ["TensorCore", "EthosUISA", "NPUTiming", "Support"]),
    module("Codegen", ["Tiling", "NPUTiming", "ProgramFormat", "TargetModel", "GraphIR"]),
    module("NPUSim", ["TensorCore", "NPUTiming"]),
    .target(
      name: "DeviceRuntime", publicHeadersPath: "include", cSettings: [.headerSearchPath(".")]),
    module(
      "Session",
      ["ProgramFormat", "NPUSim", "NPUTiming", "DeviceRuntime", "Tokenizers", "TargetModel"]),
    module("Report", ["EthosUISA", "NPUTiming", "NPUSim", "Support"]),
    module(
      "TFLiteRuntime", ["Containers", "TensorCore", "NPUSim", "NPUTiming", "EthosUISA", "Support"]),
    module("Analysis", ["Session", "ProgramFormat", "EthosUISA", "Reference", "Quantize"]),
    module(
      "Driver",
      [
        "Importers", "Passes", "Quantize", "Codegen", "Session", "Analysis", "NPUTiming", "Report",
        "TargetModel", "Tokenizers", "TFLiteRuntime", "Containers", "NPUSim", "TensorCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(name: "swiftlet", dependencies: ["Driver"]),
    .target(
      name: "TestKit", dependencies: ["Support", "GraphIR", "TensorCore"], path: "Tests/TestKit"),
    tests("Support"), tests("TensorCore"), tests("GraphIR"), tests("Containers"),
    tests("Tokenizers", ["DeviceRuntime"]), tests("Importers"),
    tests("Passes", ["Reference"]), tests("Reference", ["Importers"]),
    tests("Quantize", ["Importers", "Tokenizers"]),
    tests("TargetModel"), tests("EthosUISA"), tests("NPUTiming"), tests("Report"),
    tests("Codegen", ["Tiling", "Quantize"]),
    tests("NPUSim", ["EthosUISA"]),
    tests("Session", ["Codegen", "Passes", "Quantize", "Reference", "Importers"]),
    tests("TFLiteRuntime"),
    tests("Analysis", ["Codegen", "Importers", "TargetModel"]),
    tests("Driver", ["Codegen", "ProgramFormat", "Quantize"]),
    tests("DeviceRuntime", ["Tokenizers"]),
  ],
  swiftLanguageModes: [.v6]
)
