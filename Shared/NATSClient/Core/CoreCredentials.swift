internal import CNats

extension CoreIntroduction {
    /// Who we are to `server`: as its URL says, or as the credentials file does.
    /// - Parameter nonce: what the server wants signed, if it does.
    init(
        name: String, server: CoreServer, credentials: CredentialsFile.Contents?, nonce: String?
    ) throws(NATSError) {
        self.init(name: name, user: server.user, password: server.password, token: server.token)
        guard let credentials else { return }
        user = nil
        password = nil
        token = nil
        jwt = credentials.jwt
        // A server that asks for no signature asks for no key either.
        signature = try nonce.map { nonce throws(NATSError) in try credentials.sign(nonce) }
    }
}

extension CredentialsFile {
    /// What a credentials file holds. Never to be logged.
    struct Contents: Sendable {
        let jwt: String
        fileprivate let seed: String

        /// - Throws: `invalidArgument` if the text is none of a credentials file.
        init(_ text: String) throws(NATSError) {
            guard let jwt = Contents.block("NATS USER JWT", in: text),
                let seed = Contents.block("USER NKEY SEED", in: text)
            else { throw NATSError(.invalidArgument, "the credentials file has no JWT or no seed between its marks") }
            self.jwt = jwt
            self.seed = seed
        }

        /// The first line that is not empty between `-----BEGIN name-----` and `------END name------`.
        private static func block(_ name: String, in text: String) -> String? {
            let lines = text.split(whereSeparator: \.isNewline)
            guard let begin = lines.firstIndex(where: { $0.contains("-BEGIN \(name)-") }) else { return nil }
            let block = lines[(begin + 1)...].prefix { !$0.contains("-END \(name)-") }
            return block.lazy.map { $0.filter { !$0.isWhitespace } }.first { !$0.isEmpty }.map { String($0) }
        }

        /// The signature of `nonce`, as `CONNECT` wants it.
        fileprivate func sign(_ nonce: String) throws(NATSError) -> String {
            var signature: UnsafeMutablePointer<UInt8>?
            var length: Int32 = 0
            let status = nats_Sign(seed, nonce, &signature, &length)
            defer { free(signature) }
            guard status == NATS_OK, let signature else {
                throw NATSError(.permission, "the seed in the credentials file cannot sign: is the file whole?")
            }
            return Base64.encodedForURL(UnsafeBufferPointer(start: signature, count: Int(length)))
        }
    }
}
