package import Logging
internal import ServiceLifecycle
package import TLS

/// Looks now and then whether the gateway's certificate has been renewed, and takes the new one without a restart.
package struct CertificateRenewal: Service {
    private let context: TLSContext
    private let logger: Logger

    private static let interval = Duration.seconds(10)

    package init(context: TLSContext, logger: Logger) {
        self.context = context
        self.logger = logger
    }

    package func run() async {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: CertificateRenewal.interval)) != nil { look() }
        }
    }

    private func look() {
        do {
            guard try context.reload() else { return }
            logger.info("new connections get the new certificate", metadata: ["file": "\(context.certificateFile)"])
        } catch {
            logger.error("the new certificate cannot be used; the old one stays", metadata: ["error": "\(error)"])
        }
    }
}
