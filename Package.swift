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
    .library(name: "Checkpoint", targets: ["Checkpoint"]),
    .library(name: "CheckpointFormats", targets: ["CheckpointFormats"]),
    .library(name: "HDF5", targets: ["HDF5"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
  ],
  targets: [
    hdf5,
    deflate,
    .target(name: "HDF5", dependencies: ["CHDF5"], swiftSettings: settings, linkerSettings: hdf5Link),
    .target(name: "Kernels"),
    .target(
      name: "Checkpoint", dependencies: ["Kernels", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: settings),
    .target(
      name: "CheckpointFormats", dependencies: ["Checkpoint", "HDF5", "CDeflate", "Kernels"], path: "Sources/Formats",
      swiftSettings: settings, linkerSettings: deflateLink),
    .executableTarget(
      name: "ckpt",
      dependencies: [
        "Checkpoint", "CheckpointFormats", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .target(
      name: "Training", dependencies: ["Checkpoint", "CheckpointFormats", "Kernels"], swiftSettings: settings),
    .executableTarget(
      name: "ckpt-bench", dependencies: ["Checkpoint", "CheckpointFormats"], path: "Benchmarks/ckpt-bench",
      swiftSettings: settings),
    .testTarget(name: "HDF5Tests", dependencies: ["HDF5"], swiftSettings: settings),
    .testTarget(name: "CheckpointTests", dependencies: ["Checkpoint"], swiftSettings: settings),
    .testTarget(
      name: "FormatsTests", dependencies: ["CheckpointFormats", "Checkpoint", "HDF5"], swiftSettings: settings),
    .testTarget(
      name: "TrainingTests", dependencies: ["Training", "Checkpoint", "CheckpointFormats"], swiftSettings: settings),
    .testTarget(
      name: "CommandTests", dependencies: ["Checkpoint", "CheckpointFormats", "ckpt"], swiftSettings: settings),
  ]
)
