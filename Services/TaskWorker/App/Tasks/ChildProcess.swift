internal import Glibc
internal import TaskWorkerCore

// glibc has both since 2.34, but Swift's module of it does not show what is only there with _GNU_SOURCE.
private typealias FileActions = UnsafeMutablePointer<posix_spawn_file_actions_t>
private let addChangeOfDirectory = dlsym(nil, "posix_spawn_file_actions_addchdir_np").map {
    unsafeBitCast($0, to: (@convention(c) (FileActions, UnsafePointer<CChar>) -> CInt).self)
}
private let addCloseFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
    unsafeBitCast($0, to: (@convention(c) (FileActions, CInt) -> CInt).self)
}

/// A program that runs as a child, in a process group of its own. For one thread, which it blocks.
///
/// Foundation's `Process` has neither process groups nor a way to keep descriptors from the child, hence posix_spawn.
final class ChildProcess {
    /// Why a program could not be started.
    struct LaunchError: Error, CustomStringConvertible {
        let description: String
    }

    private let process: pid_t
    private let input: CInt
    private let output: CInt
    private let error: CInt
    private var openDescriptors: Set<CInt>

    static var inheritedEnvironment: [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            next += 1
        }
        return variables
    }

    /// Starts `command`, looked for on the PATH, in `directory` (nil: here). No shell looks at it.
    init(command: [String], directory: String?, environment: [String: String]) throws(LaunchError) {
        var pipes: [(read: CInt, write: CInt)] = []
        func closeAll() {
            for (read, write) in pipes {
                close(read)
                close(write)
            }
        }
        for _ in 0..<3 {
            var ends: [CInt] = [-1, -1]
            guard pipe(&ends) == 0 else {
                let reason = String(cString: strerror(errno))
                closeAll()
                throw LaunchError(description: "the program \(command[0]) cannot be started: \(reason)")
            }
            pipes.append((ends[0], ends[1]))
        }
        let child = [pipes[0].read, pipes[1].write, pipes[2].write]
        let own = [pipes[0].write, pipes[1].read, pipes[2].read]
        for descriptor in own {
            // Not for the children of other threads, and never waited for.
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        }
        let (status, process) = ChildProcess.spawn(command, directory, environment, descriptors: child)
        guard status == 0 else {
            closeAll()
            throw LaunchError(description: ChildProcess.explain(status, command: command[0], directory: directory))
        }
        for descriptor in child { close(descriptor) }
        self.process = process
        (input, output, error) = (own[0], own[1], own[2])
        openDescriptors = Set(own)
    }

    deinit {
        for descriptor in openDescriptors { close(descriptor) }
    }

    // MARK: Starting

    private static func spawn(
        _ command: [String], _ directory: String?, _ environment: [String: String], descriptors: [CInt]
    ) -> (status: CInt, process: pid_t) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let directory { _ = addChangeOfDirectory?(&actions, directory) }
        for (target, descriptor) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, CInt(target))
        }
        // Whatever else is open here, sockets above all, is none of the child's business.
        _ = addCloseFrom?(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // Group 0 is a new one, so that the program and what it starts can be ended together.
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for pointer in arguments + variables { free(pointer) } }
        arguments.append(nil)
        variables.append(nil)
        var process: pid_t = 0
        let status = posix_spawnp(&process, command[0], &actions, &attributes, arguments, variables)
        return (status, process)
    }

    private static func explain(_ status: CInt, command: String, directory: String?) -> String {
        if let directory {
            let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard folder >= 0 else { return "the folder \(directory) to run the program in is not there" }
            close(folder)
        }
        return switch status {
        case ENOENT:
            command.contains("/")
                ? "there is no program \(command)" : "there is no program \(command) on the PATH; install it"
        case EACCES: "the program \(command) may not be executed; chmod +x it, or run it by its interpreter"
        case ENOEXEC: "the file \(command) is no program; begin it with a #! line, or run it by its interpreter"
        default: "the program \(command) cannot be started: \(String(cString: strerror(status)))"
        }
    }

    // MARK: Running

    /// Feeds `input` to the program, hands on what it writes, and returns when it has ended.
    ///
    /// Once `isStopped` says so (it is asked ten times a second), the whole process group gets SIGTERM, and `killDelay`
    /// later SIGKILL. Once `isWarned` says so, it gets SIGTERM and may take its time.
    func run(
        input bytes: [UInt8], killDelay: Duration, isStopped: () -> Bool, isWarned: () -> Bool,
        onOutput: (ArraySlice<UInt8>) -> Void, onError: (ArraySlice<UInt8>) -> Void
    ) -> ExecTranscript.Exit {
        // Writing to a program that has closed its input must give an error instead of a signal.
        var broken = sigset_t()
        sigemptyset(&broken)
        sigaddset(&broken, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &broken, nil)

        var rest = bytes[...]
        var terminatedAt: ContinuousClock.Instant?
        var isKilled = false
        var hasBeenWarned = false
        var endedAt: ContinuousClock.Instant?
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            if terminatedAt == nil, isStopped() {
                terminatedAt = .now
                kill(-process, SIGTERM)
            } else if let terminatedAt, !isKilled, .now - terminatedAt >= killDelay {
                isKilled = true
                kill(-process, SIGKILL)
            } else if terminatedAt == nil, !hasBeenWarned, isWarned() {
                hasBeenWarned = true
                kill(-process, SIGTERM)
            }
            let exit = poll()
            var polled = [output, error].filter(openDescriptors.contains).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            if openDescriptors.contains(input) {
                if rest.isEmpty {
                    shut(input)
                } else {
                    polled.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0))
                }
            }
            // The program has ended: what it wrote is there to be read; a child of its own may hold the pipes open.
            let isSilent = !openDescriptors.contains(output) && !openDescriptors.contains(error)
            _ = Glibc.poll(&polled, nfds_t(polled.count), exit != nil ? 0 : isSilent ? 5 : 100)
            write(&rest)
            let isRead = [
                read(output, into: &buffer, onOutput), read(error, into: &buffer, onError),
            ].contains(true)
            guard let exit else { continue }
            // What a child of the program goes on writing is no part of the task.
            let hasTime = ContinuousClock.now - (endedAt ?? .now) < .seconds(1)
            endedAt = endedAt ?? .now
            if !isRead || !hasTime {
                if terminatedAt != nil { kill(-process, SIGKILL) }
                return exit
            }
        }
    }

    /// How the program ended, if it has.
    private func poll() -> ExecTranscript.Exit? {
        if let exit = ended { return exit }
        var status: CInt = 0
        guard waitpid(process, &status, WNOHANG) == process else { return nil }
        // The macros of sys/wait.h: the low seven bits are the signal, the next byte the exit status.
        let signal = status & 0x7F
        ended = signal == 0 ? .status(status >> 8 & 0xFF) : .signal(signal)
        return ended
    }

    private var ended: ExecTranscript.Exit?

    private func write(_ rest: inout ArraySlice<UInt8>) {
        guard openDescriptors.contains(input), !rest.isEmpty else { return }
        let count = rest.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
        if count >= 0 {
            rest = rest.dropFirst(count)
        } else if errno != EAGAIN, errno != EINTR {
            // The program does not want to read more, which is its own affair.
            rest = []
        }
    }

    /// Reads what is there, at most one buffer full; whether there was anything.
    private func read(
        _ descriptor: CInt, into buffer: inout [UInt8], _ handle: (ArraySlice<UInt8>) -> Void
    ) -> Bool {
        guard openDescriptors.contains(descriptor) else { return false }
        let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        if count > 0 {
            handle(buffer[..<count])
            return true
        }
        if count == 0 || (errno != EAGAIN && errno != EINTR) { shut(descriptor) }
        return false
    }

    private func shut(_ descriptor: CInt) {
        if openDescriptors.remove(descriptor) != nil { close(descriptor) }
    }
}
