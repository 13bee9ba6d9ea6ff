internal import COpenSSL

/// Why a connection cannot go on.
public struct TLSFailure: Error, Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// The other side has gone.
        case gone
        /// What it sends is not TLS.
        case notTLS = "not_tls"
        /// It speaks only versions that are not spoken here.
        case version
        /// No cipher, group or signature that both have.
        case cipher
        /// It wants another protocol inside than HTTP/1.1.
        case alpn
        /// It gave up and said so: it may not trust the certificate.
        case alert
        case other
    }

    public let kind: Kind
    /// In OpenSSL's words; nothing of what the other side sent.
    public let reason: String

    init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }
}

/// An entry of OpenSSL's queue of errors, of which each thread has one.
struct OpenSSLError {
    private let code: UInt

    /// The oldest entry, the cause of those that follow; the queue is empty then.
    static func takeFirst() -> OpenSSLError {
        let code = ERR_get_error()
        ERR_clear_error()
        return OpenSSLError(code: code)
    }

    var text: String { ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)" }

    /// Whether a key and a certificate do not belong together.
    var isMismatch: Bool {
        openssl_error_library(code) == ERR_LIB_X509
            && [X509_R_KEY_VALUES_MISMATCH, X509_R_KEY_TYPE_MISMATCH].contains(openssl_error_reason(code))
    }

    var kind: TLSFailure.Kind {
        guard openssl_error_library(code) == ERR_LIB_SSL else { return .other }
        switch openssl_error_reason(code) {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_WRONG_VERSION_NUMBER: return .notTLS
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_INAPPROPRIATE_FALLBACK: return .version
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SHARED_GROUPS, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
            SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SUITABLE_KEY_SHARE:
            return .cipher
        case SSL_R_NO_APPLICATION_PROTOCOL: return .alpn
        case SSL_AD_REASON_OFFSET...: return .alert
        default: return .other
        }
    }
}
