internal import LiveSyncCore
package import Logging
internal import ServiceLifecycle

/// Follows one source for as long as the service runs.
///
/// Whatever is wrong with the database is told and tried again, from 0.2 s to 5 s apart; other sources do not notice.
package struct SourceService: Service {
    private let source: any Source
    private let publisher: ChangePublisher
    private let status: SourceStatus
    private let logger: Logger

    package init(source: any Source, publisher: ChangePublisher, status: SourceStatus, logger: Logger) {
        self.source = source
        self.publisher = publisher
        self.status = status
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await follow()
            await source.close()
        }
    }

    private func follow() async {
        var delay = Duration.milliseconds(200)
        while !Task.isCancelled {
            do {
                let opening = try await source.open()
                try await publisher.takeUp(source, opening)
                status.source(nil)
                delay = .milliseconds(200)
                logger.info(
                    "following a database",
                    metadata: ["source": "\(source.schema)", "tables": "\(opening.tables.count)"])
                while true {
                    let changes = try await source.next()
                    for change in changes { try await publisher.publish(change) }
                    if let last = changes.last { await source.confirm(last.sequence) }
                }
            } catch is CancellationError {
                return
            } catch let error as SourceError {
                // Standing by is as it should be; a file that was replaced is opened again at once.
                if error.code == .heldElsewhere { delay = .seconds(1) }
                status.source(error)
                await source.close()
            } catch {
                status.source(SourceError(.failed, "\(source.schema): \(type(of: error))"))
                await source.close()
            }
            try? await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(5))
        }
    }
}
