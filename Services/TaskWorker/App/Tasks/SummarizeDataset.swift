internal import Glibc
internal import JSON
internal import TaskWorkerCore
internal import Tasks

/// `dataset.summarize {"path", "delimiter"}`: what a CSV file of any size holds, column by column (see
/// ``DatasetSummarizer``), with progress by bytes read.
struct SummarizeDataset: Sendable {
    static let name = "dataset.summarize"
    private static let chunkLength = 128 * 1024

    /// The only folder to read from; nil is anywhere.
    let root: String?

    var definition: TaskDefinition {
        TaskDefinition(name: Self.name) { arguments, context in
            let path = try path(arguments)
            let delimiter = try Self.delimiter(arguments)
            return try await DedicatedThread.run(named: Self.name) {
                do {
                    return try Self.summarize(try locate(path), delimiter: delimiter, context: context)
                } catch let error as DatasetError {
                    throw TaskFailure(error.description, isRetryable: false)
                }
            }
        }
    }

    // MARK: Arguments

    private func path(_ arguments: JSONObject) throws(TaskFailure) -> String {
        guard let path = arguments["path"]?.stringValue, !path.isEmpty, !path.utf8.contains(0) else {
            throw TaskFailure("the argument path is missing: it names the CSV file to read", isRetryable: false)
        }
        return path
    }

    private static func delimiter(_ arguments: JSONObject) throws(TaskFailure) -> UInt8 {
        guard let value = arguments["delimiter"], !value.isNull else { return UInt8(ascii: ",") }
        guard let bytes = value.stringValue.map({ Array($0.utf8) }), bytes.count == 1, bytes[0] < 0x80,
            ![UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r"), 0].contains(bytes[0])
        else {
            throw TaskFailure("the argument delimiter must be one ASCII character such as \";\"", isRetryable: false)
        }
        return bytes[0]
    }

    /// The file's real path, which lies in the root if there is one.
    private func locate(_ path: String) throws(TaskFailure) -> String {
        let asked = root.map { path.hasPrefix("/") ? path : "\($0)/\(path)" } ?? path
        guard let real = realpath(asked, nil) else { throw Self.failure(errno, path: path) }
        defer { free(real) }
        let resolved = String(cString: real)
        if let root {
            guard let realRoot = realpath(root, nil) else {
                throw TaskFailure("the folder of datasets, worker.dataset.root, is not there", isRetryable: false)
            }
            defer { free(realRoot) }
            let folder = String(cString: realRoot)
            guard resolved.hasPrefix(folder == "/" ? "/" : folder + "/") else {
                throw TaskFailure(
                    "\(path) is not in the folder of datasets, worker.dataset.root", isRetryable: false)
            }
        }
        return resolved
    }

    private static func failure(_ code: CInt, path: String) -> TaskFailure {
        let reason =
            switch code {
            case ENOENT, ENOTDIR: "there is no file \(path) on the worker's machine"
            case EACCES, EPERM: "the worker may not read \(path)"
            case EISDIR: "\(path) is a directory, not a CSV file"
            case ENAMETOOLONG, ELOOP: "\(path) is no usable path"
            default: "\(path) cannot be read: \(String(cString: strerror(code)))"
            }
        // A disk or network share that fails now may be there again; a file that is not there will not come by itself.
        return TaskFailure(reason, isRetryable: [EIO, EMFILE, ENFILE, ESTALE, ETIMEDOUT].contains(code))
    }

    // MARK: Reading

    private static func summarize(_ path: String, delimiter: UInt8, context: TaskContext) throws -> JSONValue {
        // Without O_NONBLOCK, opening a pipe would wait for somebody who writes into it.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw failure(errno, path: path) }
        defer { close(file) }
        let end = lseek(file, 0, SEEK_END)
        guard end >= 0, lseek(file, 0, SEEK_SET) == 0 else {
            throw TaskFailure("\(path) is a pipe or a socket, not a file", isRetryable: false)
        }
        let size = Double(max(1, end))
        var done = 0.0
        var summarizer = DatasetSummarizer(delimiter: delimiter)
        let chunk = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: chunkLength)
        defer { chunk.deallocate() }
        while true {
            try context.checkStopped()
            let count = read(file, chunk.baseAddress, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno, path: path) }
            if count == 0 { break }
            try summarizer.feed(UnsafeBufferPointer(rebasing: chunk[..<count]))
            done += Double(count)
            // Whole percents, since nothing finer is shown; 100 is said when the end has been seen.
            let percent = min(99, (done / size * 100).rounded(.down))
            try context.report(percent, message: "\(amount(done)) of \(amount(size)) read")
        }
        let result = try summarizer.finish()
        try context.report(100, message: "\(summarizer.rows) rows read")
        return result
    }

    private static func amount(_ bytes: Double) -> String {
        var value = bytes
        for unit in ["bytes", "kB", "MB"] {
            if value < 1000 { return "\(unit == "bytes" ? "\(Int(value))" : oneDecimal(value)) \(unit)" }
            value /= 1000
        }
        return "\(oneDecimal(value)) GB"
    }

    private static func oneDecimal(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
