// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who depends on Apus gets it. Run it with `make bench`.
let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "apus", path: ".."),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .executableTarget(name: "Microbenchmarks", dependencies: [.product(name: "Apus", package: "apus")]),
        .executableTarget(
            name: "FanOut",
            dependencies: [
                .product(name: "Apus", package: "apus"), .product(name: "Histogram", package: "hdrhistogram-swift"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
