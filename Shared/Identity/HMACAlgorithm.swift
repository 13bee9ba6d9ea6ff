internal import Crypto

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// The algorithms that sign with a shared secret.
public enum HMACAlgorithm: String, Sendable, CaseIterable {
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"

    func sign(_ bytes: some DataProtocol, key: SymmetricKey) -> [UInt8] {
        switch self {
        case .hs256: Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key))
        case .hs384: Array(HMAC<SHA384>.authenticationCode(for: bytes, using: key))
        case .hs512: Array(HMAC<SHA512>.authenticationCode(for: bytes, using: key))
        }
    }

    /// Compares in constant time.
    func isValid(_ signature: [UInt8], signs bytes: some DataProtocol, key: SymmetricKey) -> Bool {
        switch self {
        case .hs256: HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: bytes, using: key)
        case .hs384: HMAC<SHA384>.isValidAuthenticationCode(signature, authenticating: bytes, using: key)
        case .hs512: HMAC<SHA512>.isValidAuthenticationCode(signature, authenticating: bytes, using: key)
        }
    }
}
