internal import CNats

extension NATSMessage {
    /// Copies what libnats holds; the message stays libnats's.
    init(copying message: OpaquePointer) {
        let length = Int(natsMsg_GetDataLength(message))
        let bytes = UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: max(0, length))
        self.init(
            subject: natsMsg_GetSubject(message).map { String(cString: $0) } ?? "",
            headers: NATSHeaders(copying: message),
            payload: Array(bytes),
            replyTo: natsMsg_GetReply(message).map { String(cString: $0) })
    }

    /// Hands a new libnats message to `body` and destroys it.
    func withCMessage<Result>(
        replyTo: String?, _ body: (OpaquePointer) throws(NATSError) -> Result
    ) throws(NATSError) -> Result {
        var created: OpaquePointer?
        let status = payload.withUnsafeBytes { bytes in
            natsMsg_Create(
                &created, subject, replyTo, bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                Int32(clamping: bytes.count))
        }
        try check(status, "natsMsg_Create")
        guard let message = created else { throw NATSError(.failed, "natsMsg_Create: no message") }
        defer { natsMsg_Destroy(message) }
        for (name, value) in headers {
            try check(natsMsgHeader_Add(message, name, value), "natsMsgHeader_Add")
        }
        return try body(message)
    }
}

extension NATSHeaders {
    /// libnats keeps headers in a hash table: the order of names is lost, so they come sorted.
    fileprivate init(copying message: OpaquePointer) {
        self.init()
        var names: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        var nameCount: Int32 = 0
        guard natsMsgHeader_Keys(message, &names, &nameCount) == NATS_OK, let names else { return }
        defer { free(names) }
        let sorted = (0..<Int(nameCount)).compactMap { names[$0].map { String(cString: $0) } }.sorted()
        for name in sorted {
            var values: UnsafeMutablePointer<UnsafePointer<CChar>?>?
            var valueCount: Int32 = 0
            guard natsMsgHeader_Values(message, name, &values, &valueCount) == NATS_OK, let values else { continue }
            defer { free(values) }
            for index in 0..<Int(valueCount) {
                if let value = values[index] { append(name, String(cString: value)) }
            }
        }
    }
}
