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
}

/// A secret, made ready for each algorithm: what a signature takes of the key alone is done once.
struct SharedSecret: Sendable {
    private let hs256: HMAC<SHA256>
    private let hs384: HMAC<SHA384>
    private let hs512: HMAC<SHA512>

    init(_ secret: String) {
        let key = SymmetricKey(data: Array(secret.utf8))
        hs256 = HMAC(key: key)
        hs384 = HMAC(key: key)
        hs512 = HMAC(key: key)
    }

    func sign(_ bytes: some DataProtocol, with algorithm: HMACAlgorithm) -> [UInt8] {
        switch algorithm {
        case .hs256: Array(SharedSecret.code(hs256, of: bytes))
        case .hs384: Array(SharedSecret.code(hs384, of: bytes))
        case .hs512: Array(SharedSecret.code(hs512, of: bytes))
        }
    }

    /// Whether `signature` is that of `bytes`. Compares in constant time.
    func signed(_ bytes: some DataProtocol, with algorithm: HMACAlgorithm, as signature: [UInt8]) -> Bool {
        switch algorithm {
        case .hs256: SharedSecret.code(hs256, of: bytes) == signature
        case .hs384: SharedSecret.code(hs384, of: bytes) == signature
        case .hs512: SharedSecret.code(hs512, of: bytes) == signature
        }
    }

    private static func code<Hash: HashFunction>(
        _ prepared: HMAC<Hash>, of bytes: some DataProtocol
    ) -> HashedAuthenticationCode<Hash> {
        var code = prepared
        code.update(data: bytes)
        return code.finalize()
    }
}
