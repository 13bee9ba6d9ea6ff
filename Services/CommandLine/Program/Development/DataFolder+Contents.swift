internal import CommandLineCore
internal import Foundation
internal import GRDB

extension DataFolder {
    /// Makes what is not there yet: database, sample and configuration. What is there is left as it is.
    /// - Returns: what was made, for people.
    func fill(natsURL: String, gatewayAddress: String) throws -> [String] {
        var made: [String] = []
        try DataFolder(path: uploadPath).create()
        if !FileManager.default.fileExists(atPath: databasePath) {
            try makeDatabase()
            made.append("a demonstration database, \(databasePath)")
        }
        if !FileManager.default.fileExists(atPath: samplePath) {
            try makeSample()
            made.append("a sample for dataset.summarize, \(samplePath)")
        }
        if !hasConfiguration {
            let configuration = DevelopmentConfiguration(
                natsURL: natsURL, gatewayAddress: gatewayAddress, tokenSecret: DataFolder.secret(),
                apiKey: DataFolder.secret(), databasePath: databasePath, samplePath: samplePath,
                uploadPath: uploadPath)
            try write(configuration.yaml, to: configurationPath)
            made.append("the configuration, \(configurationPath)")
        }
        return made
    }

    /// 32 random bytes, written with letters and digits.
    private static func secret() -> String {
        (0..<32).map { _ in
            let byte = UInt8.random(in: .min ... .max)
            return (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    private func makeDatabase() throws {
        // Under another name until it is whole: a half-filled one would never be mended.
        let temporary = databasePath + ".new"
        unlink(temporary)
        do {
            let database = try DatabaseQueue(path: temporary)
            try database.write { try $0.execute(sql: DemonstrationDatabase.script) }
            try database.close()
        } catch {
            throw Failure("cannot make the demonstration database \(databasePath): \(error)")
        }
        guard rename(temporary, databasePath) == 0 else {
            throw Failure("cannot make \(databasePath): \(String(cString: strerror(errno)))")
        }
    }

    private func makeSample() throws {
        var sample = SampleDataset(seed: 42)
        var text = SampleDataset.header
        for _ in 0..<SampleDataset.rows { text += sample.line() }
        try write(text, to: samplePath)
    }
}
