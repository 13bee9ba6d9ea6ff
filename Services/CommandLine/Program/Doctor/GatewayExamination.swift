internal import CommandLineCore
internal import JSON
internal import ServiceKit

/// The gateway's page, and the services' own HTTP servers where their addresses are known.
struct GatewayExamination {
    let settings: ToolSettings

    func findings() async -> [Finding] {
        var findings = [await page()]
        for (name, address) in (settings.session?.adminAddresses ?? [:]).sorted(by: { $0.key < $1.key }) {
            findings.append(await readiness(name, address))
        }
        return findings
    }

    private func page() async -> Finding {
        let address =
            settings.session.flatMap { ListenAddress(String($0.page.trimmingPrefix(#/https?:///#))) }
            ?? settings.gatewayAddress
        let host = address.host == "0.0.0.0" || address.host == "::" ? "127.0.0.1" : address.host
        let speaksTLS = settings.gatewaySpeaksTLS
        let url = "\(speaksTLS ? "https" : "http")://\(ListenAddress(host: host, port: address.port))/"
        do {
            let answer = try await SocketProbe.get("/", host: host, port: address.port)
            // The certificate's name need not be that of this address: that the gateway asks for TLS is answer enough.
            if speaksTLS, answer.status == 400, String(decoding: answer.body, as: UTF8.self).contains("speaks TLS") {
                return Finding(.ok, "page", url)
            }
            guard answer.status == 200, answer.contentType.hasPrefix("text/html") else {
                return Finding(
                    .problem, "page", "\(url) answers with status \(answer.status)",
                    remedy: "is another program listening there? See gateway.listen")
            }
            return Finding(.ok, "page", url)
        } catch {
            return Finding(
                .problem, "page", "\(url): \(error)",
                remedy: "start the gateway: `apus dev`, or `apus-gateway --config FILE`; its address is gateway.listen")
        }
    }

    private func readiness(_ name: String, _ address: String) async -> Finding {
        guard let listen = ListenAddress(address) else {
            return Finding(.warning, "\(name) /ready", "its address is not known")
        }
        do {
            let health = try await SocketProbe.get("/health", host: listen.host, port: listen.port)
            let ready = try await SocketProbe.get("/ready", host: listen.host, port: listen.port)
            guard health.status == 200, ready.status == 200 else {
                let conditions = (try? JSONValue(parsing: ready.body))?["conditions"]?.description ?? ""
                return Finding(
                    .problem, "\(name) /ready", "lives, but is not ready \(conditions)",
                    remedy: "its log says what it waits for")
            }
            return Finding(.ok, "\(name) /ready", "http://\(address)")
        } catch {
            return Finding(
                .problem, "\(name) /ready", "http://\(address): \(error)", remedy: "see what `apus dev` says of it")
        }
    }
}
