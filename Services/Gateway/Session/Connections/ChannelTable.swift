internal import Events

/// What is kept by a channel and knows which.
protocol OfChannel {
    var channelName: ChannelName { get }
}

/// What a connection keeps of its channels, by their names. Most connections are on one or two, so that a list that is
/// looked through takes the least room and time; only beyond ``ChannelTable/fewest`` there is a dictionary.
struct ChannelTable<Element: OfChannel> {
    fileprivate enum Storage {
        case few([Element])
        case many([ChannelName: Element])
    }

    private var storage = Storage.few([])

    static var fewest: Int { 16 }

    init() {}

    var count: Int {
        switch storage {
        case .few(let list): list.count
        case .many(let table): table.count
        }
    }

    var isEmpty: Bool { count == 0 }

    var elements: [Element] {
        switch storage {
        case .few(let list): list
        case .many(let table): Array(table.values)
        }
    }

    subscript(channel: ChannelName) -> Element? {
        switch storage {
        case .few(let list): list.first { $0.channelName == channel }
        case .many(let table): table[channel]
        }
    }

    /// Adds an element, in place of another of its channel.
    mutating func insert(_ element: Element) {
        switch storage {
        case .few(var list):
            storage = .few([])
            if let index = list.firstIndex(where: { $0.channelName == element.channelName }) {
                list[index] = element
                storage = .few(list)
            } else if list.count < ChannelTable.fewest {
                // Room for one, and from then on for a few: most never have a second.
                if list.isEmpty { list.reserveCapacity(1) }
                list.append(element)
                storage = .few(list)
            } else {
                var table = Dictionary(uniqueKeysWithValues: list.map { ($0.channelName, $0) })
                table[element.channelName] = element
                storage = .many(table)
            }
        case .many(var table):
            storage = .few([])
            table[element.channelName] = element
            storage = .many(table)
        }
    }

    @discardableResult
    mutating func remove(_ channel: ChannelName) -> Element? {
        switch storage {
        case .few(var list):
            guard let index = list.firstIndex(where: { $0.channelName == channel }) else { return nil }
            storage = .few([])
            let element = list.remove(at: index)
            storage = .few(list.isEmpty ? [] : list)
            return element
        case .many(var table):
            storage = .few([])
            let element = table.removeValue(forKey: channel)
            storage = table.count > ChannelTable.fewest / 2 ? .many(table) : .few(Array(table.values))
            return element
        }
    }

    /// Changes the element of a channel in its place; nothing happens if there is none.
    mutating func change(_ channel: ChannelName, _ body: (inout Element) -> Void) {
        guard var element = self[channel] else { return }
        body(&element)
        insert(element)
    }

    mutating func removeAll() { storage = .few([]) }
}

extension ChannelTable: Sendable where Element: Sendable {}
extension ChannelTable.Storage: Sendable where Element: Sendable {}
