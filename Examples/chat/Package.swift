// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "chat",
    dependencies: [
        // In a project of your own: .package(url: "https://…/apus", from: "0.1.0")
        .package(name: "apus", path: "../.."),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .executableTarget(
            name: "chat",
            dependencies: [
                .product(name: "Apus", package: "apus"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Sources")
    ],
    swiftLanguageModes: [.v6]
)
