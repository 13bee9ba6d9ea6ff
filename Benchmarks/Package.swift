// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who depends on Apus gets it. Run it with `make bench`.
let package = Package(
    name: "benchmarks",
    dependencies: [.package(name: "apus", path: "..")],
    targets: [
        .executableTarget(
            name: "Microbenchmarks",
            dependencies: [
                .product(name: "Apus", package: "apus"), .product(name: "GatewayProbes", package: "apus"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
