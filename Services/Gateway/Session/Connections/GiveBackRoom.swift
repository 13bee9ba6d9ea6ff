extension Array {
    /// Frees the room for elements that are gone, when it is most of all. To be called after each removal.
    mutating func giveBackRoom() {
        if isEmpty {
            self = []
        } else if capacity > 32, count < capacity / 4 {
            // A plain copy would take the room along.
            var copy: [Element] = []
            copy.reserveCapacity(count * 2)
            copy.append(contentsOf: self)
            self = copy
        }
    }
}

extension Dictionary {
    /// Frees the room for entries that are gone, when it is most of all. To be called now and then: a dictionary never
    /// does so by itself.
    mutating func giveBackRoom() {
        if isEmpty {
            if capacity > 0 { self = [:] }
        } else if capacity > 32, count < capacity / 4 {
            self = Dictionary(uniqueKeysWithValues: lazy.map { ($0.key, $0.value) })
        }
    }
}
