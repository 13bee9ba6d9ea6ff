// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "shipments",
    dependencies: [
        // In a project of your own: .package(url: "https://…/apus", from: "0.1.0")
        .package(name: "apus", path: "../.."),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "shipments",
            dependencies: [
                .product(name: "Apus", package: "apus"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Sources")
    ],
    swiftLanguageModes: [.v6]
)
