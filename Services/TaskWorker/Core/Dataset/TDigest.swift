#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// Estimates quantiles of a stream in constant memory: a merging t-digest (Dunning and Ertl, arXiv 1902.04023).
///
/// The numbers are kept as at most about a thousand groups, each a mean and a weight, small ones towards both ends. The
/// rank of an estimated quartile is off by less than 0.5 % of the count. The same numbers in the same order give the
/// same estimate.
package struct TDigest {
    private struct Group {
        var mean: Double
        var weight: Double
    }

    private static let compression = 1000.0
    private static let bufferSize = 4096

    private var groups: [Group] = []
    private var buffer: [Double] = []
    private var weight = 0.0
    private var minimum = Double.infinity
    private var maximum = -Double.infinity

    package init() {}

    package mutating func add(_ value: Double) {
        buffer.append(value)
        if buffer.count == TDigest.bufferSize { merge() }
    }

    /// The value below which `fraction` (0 to 1) of the numbers lie; nil if there is none.
    package mutating func quantile(_ fraction: Double) -> Double? {
        merge()
        guard let first = groups.first, let last = groups.last else { return nil }
        let rank = fraction * weight
        // A group's mean is taken to stand at the middle of its weight; between two of them the way is straight.
        var before = first.weight / 2
        if rank <= before { return interpolate(from: minimum, to: first.mean, by: rank / before) }
        for index in 1..<max(1, groups.count) {
            let left = groups[index - 1]
            let right = groups[index]
            let distance = (left.weight + right.weight) / 2
            if rank <= before + distance {
                return interpolate(from: left.mean, to: right.mean, by: (rank - before) / distance)
            }
            before += distance
        }
        return interpolate(from: last.mean, to: maximum, by: min(1, (rank - before) / (last.weight / 2)))
    }

    private func interpolate(from start: Double, to end: Double, by share: Double) -> Double {
        start + (end - start) * share
    }

    /// Sorts what has come in among the groups and joins neighbours as far as their place allows.
    private mutating func merge() {
        guard !buffer.isEmpty else { return }
        buffer.sort()
        minimum = min(minimum, buffer[0])
        maximum = max(maximum, buffer[buffer.count - 1])
        weight += Double(buffer.count)
        var merged: [Group] = []
        merged.reserveCapacity(groups.count + 64)
        var done = 0.0
        var bound = weight * TDigest.nextFraction(0)
        var current: Group?
        func take(_ next: Group) {
            guard var group = current else {
                current = next
                return
            }
            if done + group.weight + next.weight <= bound {
                group.weight += next.weight
                group.mean += (next.mean - group.mean) * (next.weight / group.weight)
                current = group
            } else {
                merged.append(group)
                done += group.weight
                bound = weight * TDigest.nextFraction(done / weight)
                current = next
            }
        }
        var incoming = 0
        for group in groups {
            while incoming < buffer.count, buffer[incoming] < group.mean {
                take(Group(mean: buffer[incoming], weight: 1))
                incoming += 1
            }
            take(group)
        }
        while incoming < buffer.count {
            take(Group(mean: buffer[incoming], weight: 1))
            incoming += 1
        }
        if let current { merged.append(current) }
        groups = merged
        buffer.removeAll(keepingCapacity: true)
    }

    /// Where a group that begins at `fraction` must end: one unit further on the scale k₁ = δ/2π · asin(2q − 1).
    private static func nextFraction(_ fraction: Double) -> Double {
        let place = asin(min(1, max(-1, 2 * fraction - 1))) + 2 * Double.pi / compression
        return place >= Double.pi / 2 ? 1 : (sin(place) + 1) / 2
    }
}
