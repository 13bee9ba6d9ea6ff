import Events

/// A channel of the namespace that these tests are about.
func chat(_ name: String) -> ChannelName {
    guard let channel = try? ChannelName(namespace: "chat", name: name) else { fatalError("\(name) is no name") }
    return channel
}
