internal import Foundation

/// Starts programs that do not outlive this one, not even its `kill -9`.
///
/// A program asks the system to be killed when its parent dies (`PR_SET_PDEATHSIG`). Only it can ask that for itself, so
/// `apus dev` starts `apus __child`, which asks and then becomes the program.
enum ChildLaunch {
    /// The hidden subcommand.
    static let command = "__child"

    /// A program with its output in one pipe.
    struct Started: Sendable {
        let process: pid_t
        /// Where what it prints can be read; to be closed by whoever reads.
        let output: Int32
    }

    /// Starts `program` in a process group of its own, so that a ctrl-C at the terminal is ours to pass on.
    ///
    /// To be called on a thread that lives as long as the program may: when the thread ends that started it, the system
    /// counts its parent as dead.
    static func start(_ program: String, _ arguments: [String]) throws -> Started {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw failure(program, errno) }
        let (output, input) = (ends[0], ends[1])
        defer { close(input) }
        // All starts are on one thread, so that no other program inherits these between the two calls.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, input, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, input, STDERR_FILENO)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        // What this program does with signals is no business of the one that it starts.
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let own = ExecutableSearch.ownPath
        let words = [own, command, String(getpid()), program] + arguments
        var vector: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for word in vector { free(word) } }
        var process: pid_t = 0
        let problem = posix_spawn(&process, own, &actions, &attributes, &vector, environ)
        guard problem == 0 else {
            close(output)
            throw failure(program, problem)
        }
        return Started(process: process, output: output)
    }

    private static func failure(_ program: String, _ code: Int32) -> Failure {
        Failure("cannot start \(program): \(String(cString: strerror(code)))")
    }

    // MARK: In the child

    /// `apus __child PARENT PROGRAM ARGUMENT…`: never returns.
    static func becomeProgram(_ words: ArraySlice<String>) -> Never {
        guard words.count >= 2, let parent = words.first.flatMap({ pid_t($0) }) else {
            fail("\(command) is for `apus dev`", status: 64)
        }
        let program = words[words.startIndex + 1]
        dieWithParent()
        // It may have died before that was asked.
        guard getppid() == parent else { exit(0) }
        var vector: [UnsafeMutablePointer<CChar>?] = words.dropFirst().map { strdup($0) } + [nil]
        execv(program, &vector)
        fail("cannot start \(program): \(String(cString: strerror(errno)))", status: 127)
    }

    /// `prctl` takes a varying number of arguments, which Swift cannot call; on every Linux its words are passed as those
    /// of a function that takes five.
    private static func dieWithParent() {
        typealias ProcessControl = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
        let setParentDeathSignal: Int32 = 1
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "prctl") else { return }
        _ = unsafeBitCast(symbol, to: ProcessControl.self)(setParentDeathSignal, UInt(SIGKILL), 0, 0, 0)
    }

    private static func fail(_ message: String, status: Int32) -> Never {
        Console.standard.note("apus: \(message)")
        exit(status)
    }
}
