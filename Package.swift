// swift-tools-version: 6.2
import PackageDescription

// `make check` and `make test` build with APUS_STRICT=1: warnings in our own targets are errors there,
// but never for somebody who depends on Apus with a newer compiler.
let isStrict = Context.environment["APUS_STRICT"] == "1"

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

// Products of other packages, named once.
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let inMemoryTracing = Target.Dependency.product(name: "InMemoryTracing", package: "swift-distributed-tracing")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let nioExtras = Target.Dependency.product(name: "NIOExtras", package: "swift-nio-extras")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let collections = Target.Dependency.product(name: "Collections", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let dequeModule = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let orderedCollections = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")

/// A library target of ours, with the settings that all of them share.
func library(
    _ name: String, path: String, _ dependencies: [Target.Dependency], exclude: [String] = [],
    resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path, exclude: exclude, resources: resources,
        swiftSettings: settings)
}

/// One of the five programs: a `main` of a few lines over its application library.
func program(_ name: String, path: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: settings)
}

/// The tests of one target; its folder bears its name.
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "apus",
    products: [
        // What a service of one's own is built from (see Examples/own-service).
        .library(
            name: "Apus",
            targets: ["JSON", "Events", "EventBus", "EventBusNATS", "ChannelHandlers", "Identity", "ServiceKit"]),
        // What a worker of one's own is built from, and what its tasks are tested with (see Examples/own-worker).
        .library(name: "ApusWorker", targets: ["TaskWorker", "Tasks"]),
        .library(name: "ApusWorkerTesting", targets: ["TaskTesting"]),
        .library(name: "NATSClient", targets: ["NATSClient"]),
        // For the micro-benchmarks alone, which are a package of their own.
        .library(name: "GatewayProbes", targets: ["GatewayProbes"]),
        .executable(name: "apus-gateway", targets: ["apus-gateway"]),
        .executable(name: "apus-notifier", targets: ["apus-notifier"]),
        .executable(name: "apus-worker", targets: ["apus-worker"]),
        .executable(name: "apus-livesync", targets: ["apus-livesync"]),
        .executable(name: "apus", targets: ["apus"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.1.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        // Shared, lowest first. Each C library is imported by exactly one module.
        .systemLibrary(
            name: "CNats", path: "Shared/CNats", pkgConfig: "libnats", providers: [.apt(["libnats-dev"])]),
        .systemLibrary(
            name: "CJansson", path: "Shared/CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),
        .systemLibrary(name: "CZlib", path: "Shared/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "COpenSSL", path: "Shared/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CEpoll", path: "Shared/CEpoll"),
        .systemLibrary(name: "CMalloc", path: "Shared/CMalloc"),
        .systemLibrary(name: "CPrefetch", path: "Shared/CPrefetch"),
        library("Prefetch", path: "Shared/Prefetch", ["CPrefetch"]),
        library("Reactor", path: "Shared/Reactor", ["CEpoll", heap]),
        library("JSON", path: "Shared/JSON", ["CJansson", orderedCollections]),
        library("Deflate", path: "Shared/Deflate", ["CZlib"]),
        library("TLS", path: "Shared/TLS", ["COpenSSL"]),
        library("NATSClient", path: "Shared/NATSClient", ["CNats", "JSON", "Prefetch", "Reactor", heap]),
        library("Events", path: "Shared/Events", ["JSON"]),
        library("EventBus", path: "Shared/EventBus", ["JSON", "Events", heap, logging]),
        library("ChannelHandlers", path: "Shared/ChannelHandlers", ["EventBus", "Events", "JSON", logging]),
        library(
            "EventBusNATS", path: "Shared/EventBusNATS",
            ["EventBus", "Events", "JSON", "NATSClient", "Reactor", logging]),
        library("Identity", path: "Shared/Identity", ["JSON", "Events", jwtKit, crypto]),
        library(
            "ServiceKit", path: "Shared/ServiceKit",
            [
                "JSON", "Events", "EventBus", "EventBusNATS", lifecycle, unixSignals, logging, metrics, coreMetrics,
                configuration,
                yams, hummingbird, nioCore,
            ]),
        library("Tasks", path: "Shared/Tasks", ["JSON", "Events", logging]),
        library("TestKit", path: "Shared/TestKit", ["JSON", "Events", "EventBus", "EventBusNATS", logging]),

        // The gateway: Wire (pure codecs), Session (pure machines, shards, hub), Edge (the only sockets), App (wiring).
        library("GatewayWire", path: "Services/Gateway/Wire", ["JSON", "Events"]),
        library(
            "GatewaySession", path: "Services/Gateway/Session",
            ["GatewayWire", "JSON", "Events", "EventBus", "Identity", "Prefetch", dequeModule, logging, metrics]),
        library(
            "GatewayEdge", path: "Services/Gateway/Edge",
            [
                "GatewaySession", "GatewayWire", "JSON", "Events", "Identity", "Deflate", "Reactor", "TLS", "EventBus",
                nioCore, nioPosix, nioHTTP1, nioExtras, hummingbird, hummingbirdCore, httpTypes, nioHTTPTypes, crypto,
                lifecycle, logging, metrics, dequeModule,
            ], resources: [.embedInCode("Page")]),
        library(
            "GatewayApp", path: "Services/Gateway/App",
            [
                "CMalloc", "GatewayEdge", "GatewaySession", "GatewayWire", "JSON", "Events", "EventBus", "EventBusNATS",
                "Identity", "ServiceKit", "Reactor", "TLS", lifecycle, logging, metrics,
            ]),
        library(
            "GatewayProbes", path: "Services/Gateway/Probes",
            ["GatewaySession", "GatewayWire", "EventBus", "Events", "Identity", "NATSClient", logging]),
        program("apus-gateway", path: "Services/Gateway/Program", ["GatewayApp"]),

        library(
            "NotifierCore", path: "Services/Notifier/Core", ["JSON", "Events", mustache]),
        library(
            "NotifierApp", path: "Services/Notifier/App",
            ["NotifierCore", "JSON", "Events", "EventBus", "ServiceKit", lifecycle, logging, metrics]),
        program("apus-notifier", path: "Services/Notifier/Program", ["NotifierApp", "ServiceKit"]),

        library(
            "TaskWorkerCore", path: "Services/TaskWorker/Core", ["Tasks", "JSON", "Events", collections]),
        library(
            "TaskWorkerApp", path: "Services/TaskWorker/App",
            ["TaskWorkerCore", "Tasks", "JSON", "Events", "EventBus", "ServiceKit", lifecycle, logging, metrics]),
        program("apus-worker", path: "Services/TaskWorker/Program", ["TaskWorkerApp", "ServiceKit"]),
        library(
            "TaskWorker", path: "Services/TaskWorker/Library",
            [
                "TaskWorkerApp", "TaskWorkerCore", "Tasks", "JSON", "Events", "ServiceKit", lifecycle, logging, metrics,
                tracing,
            ]),
        library(
            "TaskTesting", path: "Services/TaskWorker/Testing",
            [
                "TaskWorker", "TaskWorkerApp", "Tasks", "JSON", "Events", "EventBus", "ServiceKit", lifecycle, logging,
            ]),

        library("LiveSyncCore", path: "Services/LiveSync/Core", ["JSON", "Events"]),
        library(
            "LiveSyncApp", path: "Services/LiveSync/App",
            ["LiveSyncCore", "JSON", "Events", "EventBus", "ServiceKit", grdb, lifecycle, logging, metrics]),
        program("apus-livesync", path: "Services/LiveSync/Program", ["LiveSyncApp", "ServiceKit"]),

        library("CommandLineCore", path: "Services/CommandLine/Core", ["JSON", "Events"]),
        program(
            "apus", path: "Services/CommandLine/Program",
            [
                "CommandLineCore", "JSON", "Events", "EventBus", "EventBusNATS", "Identity", "ServiceKit",
                argumentParser, grdb, logging,
            ]),

        tests("ReactorTests", ["Reactor", "TestKit"]),
        tests("TLSTests", ["TLS", "COpenSSL", "TestKit"]),
        tests("JSONTests", ["JSON", "TestKit"]),
        tests("DeflateTests", ["Deflate", "TestKit"]),
        tests("EventsTests", ["Events", "JSON", "TestKit"]),
        tests("NATSClientTests", ["NATSClient", "JSON", "TestKit"]),
        tests("EventBusTests", ["EventBus", "Events", "JSON", "TestKit", logging]),
        tests("ChannelHandlersTests", ["ChannelHandlers", "EventBus", "Events", "JSON", "TestKit", logging]),
        tests("IdentityTests", ["Identity", "JSON", "Events", "TestKit", crypto, cryptoExtras]),
        tests("ServiceKitTests", ["ServiceKit", "JSON", "EventBus", "Events", configuration, coreMetrics]),
        tests("GatewayWireTests", ["GatewayWire", "JSON", "Events", "TestKit"]),
        tests(
            "GatewaySessionTests",
            ["GatewaySession", "GatewayWire", "JSON", "Events", "EventBus", "Identity", "TestKit", logging]),
        tests(
            "GatewayEdgeTests",
            [
                "GatewayEdge", "GatewayApp", "GatewaySession", "GatewayWire", "JSON", "Events", "EventBus", "Identity",
                "Deflate", "Reactor", "TLS", "TestKit", nioCore, nioPosix, logging, crypto,
            ]),
        tests(
            "NotifierTests",
            [
                "NotifierCore", "NotifierApp", "JSON", "Events", "EventBus", "EventBusNATS", "TestKit", "ServiceKit",
                lifecycle,
                logging,
            ]),
        tests(
            "TaskWorkerTests",
            [
                "TaskWorkerCore", "TaskWorkerApp", "TaskWorker", "TaskTesting", "Tasks", "JSON", "Events", "EventBus",
                "EventBusNATS", "TestKit", "ServiceKit", lifecycle, logging, tracing, inMemoryTracing,
            ]),
        tests(
            "LiveSyncTests",
            [
                "LiveSyncCore", "LiveSyncApp", "JSON", "Events", "EventBus", "EventBusNATS", "TestKit", "ServiceKit",
                lifecycle, logging,
            ]),
        tests(
            "CommandLineTests",
            [
                "apus", "CommandLineCore", "Identity", "ServiceKit", "EventBus", "EventBusNATS", "TestKit", "JSON",
                "Events", logging,
            ]),
        // Depends on the programs only so that they are built before they are started.
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["apus", "apus-gateway", "apus-notifier", "apus-worker", "apus-livesync", "TestKit"],
            path: "Tests/EndToEndTests",
            exclude: ["Scenarios", "Browser", "requirements.txt", "requirements-files.txt"], swiftSettings: settings),
        tests(
            "IntegrationTests",
            ["NATSClient", "EventBusNATS", "EventBus", "Events", "JSON", "Reactor", "TestKit", logging]),
    ],
    swiftLanguageModes: [.v6]
)
