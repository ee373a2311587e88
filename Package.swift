// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

#if os(Linux)
  // The static archive: a shared libhdf5 pulls in some 30 libraries and costs 8-10 ms at each start.
  let hdf5: Target = .systemLibrary(name: "CHDF5", providers: [.apt(["libhdf5-dev"])])
  let hdf5Link: [LinkerSetting] = [
    .linkedLibrary(":libhdf5_serial.a"), .linkedLibrary(":libsz.a"), .linkedLibrary(":libaec.a"),
    .linkedLibrary(":libz.a"), .linkedLibrary("m"), .linkedLibrary("dl"),
  ]
  let deflateLink: [LinkerSetting] = [.linkedLibrary(":libdeflate.a")]
  let deflate: Target = .systemLibrary(name: "CDeflate", providers: [.apt(["libdeflate-dev"])])
#else
  let hdf5: Target = .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.brew(["hdf5"])])
  let hdf5Link: [LinkerSetting] = [.linkedLibrary("hdf5"), .linkedLibrary("z")]
  let deflateLink: [LinkerSetting] = [.linkedLibrary("deflate")]
  let deflate: Target = .systemLibrary(name: "CDeflate", pkgConfig: "libdeflate", providers: [.brew(["libdeflate"])])
#endif

let package = Package(
  name: "ckpt",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "ckpt", targets: ["ckpt"]),
    .executable(name: "ckpt-train", targets: ["ckpt-train"]),
    .library(name: "Checkpoint", targets: ["Checkpoint"]),
    .library(name: "CheckpointFormats", targets: ["CheckpointFormats"]),
    .library(name: "HDF5", targets: ["HDF5"]),
    .library(name: "Training", targets: ["Training"]),
  ],
  // Who multiplies matrices when training: one of the two.
  traits: [
    .default(enabledTraits: ["OneDNN"]),
    .trait(name: "OneDNN", description: "oneDNN (libdnnl-dev), the faster one"),
    .trait(name: "OpenBLAS", description: "OpenBLAS (libopenblas-dev), for machines without oneDNN"),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    hdf5,
    deflate,
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"]), .brew(["onednn"])]),
    .systemLibrary(name: "COpenBLAS", providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .target(name: "HDF5", dependencies: ["CHDF5"], swiftSettings: settings, linkerSettings: hdf5Link),
    .target(name: "Kernels"),
    .target(
      name: "Checkpoint", dependencies: ["Kernels", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: settings),
    .target(
      name: "CheckpointFormats", dependencies: ["Checkpoint", "HDF5", "CDeflate", "Kernels"], path: "Sources/Formats",
      swiftSettings: settings, linkerSettings: deflateLink),
    .target(
      name: "CommandSupport",
      dependencies: ["Checkpoint", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: settings),
    .executableTarget(
      name: "ckpt",
      dependencies: [
        "Checkpoint", "CheckpointFormats", "CommandSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .target(
      name: "Training",
      dependencies: [
        "Checkpoint", "CheckpointFormats", "HDF5", "Kernels",
        .target(name: "COneDNN", condition: .when(traits: ["OneDNN"])),
        .target(name: "COpenBLAS", condition: .when(traits: ["OpenBLAS"])),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "ckpt-train",
      dependencies: [
        "Training", "Checkpoint", "CheckpointFormats", "CommandSupport", "Yams",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "ckpt-bench", dependencies: ["Checkpoint", "CheckpointFormats"], path: "Benchmarks/ckpt-bench",
      swiftSettings: settings),
    .executableTarget(
      name: "ckpt-train-bench", dependencies: ["Training"], path: "Benchmarks/ckpt-train-bench",
      swiftSettings: settings),
    .testTarget(name: "HDF5Tests", dependencies: ["HDF5"], swiftSettings: settings),
    .testTarget(name: "CheckpointTests", dependencies: ["Checkpoint"], swiftSettings: settings),
    .testTarget(
      name: "FormatsTests", dependencies: ["CheckpointFormats", "Checkpoint", "HDF5"], swiftSettings: settings),
    .testTarget(
      name: "TrainingTests", dependencies: ["Training", "Checkpoint", "CheckpointFormats", "Kernels"],
      swiftSettings: settings),
    .testTarget(
      name: "CommandTests", dependencies: ["Checkpoint", "CheckpointFormats", "CommandSupport", "ckpt", "ckpt-train"],
      swiftSettings: settings),
    .testTarget(
      name: "TrainCommandTests",
      dependencies: [
        "Training", "Checkpoint", "CheckpointFormats", "CommandSupport", "ckpt-train",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
  ]
)
