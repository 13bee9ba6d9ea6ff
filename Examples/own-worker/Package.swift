// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "words-worker",
    dependencies: [
        // In a project of your own: .package(url: "https://…/apus", from: "0.1.0")
        .package(name: "apus", path: "../..")
    ],
    targets: [
        .executableTarget(
            name: "words-worker", dependencies: [.product(name: "ApusWorker", package: "apus")], path: "Sources"),
        .testTarget(
            name: "WordsTests",
            dependencies: ["words-worker", .product(name: "ApusWorkerTesting", package: "apus")], path: "Tests"),
    ],
    swiftLanguageModes: [.v6]
)
