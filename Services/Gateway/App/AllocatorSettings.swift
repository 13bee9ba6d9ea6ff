internal import Glibc

/// Settings of the C library's allocator, which it takes from the environment before a program begins.
///
/// A loop that gets hundreds of messages in one turn holds a few allocations for each and frees all of them together. glibc
/// keeps seven of a size at hand for a thread, and merges the others with what lies beside them, memory that is in no cache:
/// a tenth of all that a message costs.
public enum AllocatorSettings {
    private static let variable = "GLIBC_TUNABLES"
    /// As many of a size as a turn of the loop frees.
    private static let value = "glibc.malloc.tcache_count=512"

    /// Begins the program anew, in the same process, unless the environment has settings already, which are the operator's.
    /// To be called before anything else. Returns where it cannot be done: that costs processor time and nothing else.
    public static func apply() {
        guard getenv(variable) == nil, let path = realpath("/proc/self/exe", nil) else { return }
        setenv(variable, value, 0)
        execv(path, CommandLine.unsafeArgv)
        unsetenv(variable)
        free(path)
    }
}
