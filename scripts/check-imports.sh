#!/usr/bin/env bash
# Keeps the walls between the layers (ARCHITECTURE.md, "Layers"): says which import stands where it must not, and
# exits 1 if there is one.
#
# Usage: check-imports.sh [FOLDER]     FOLDER is the project's root; without it, the one this script is in.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# Every import of the project's own code as lines of "file:line module", tests and examples left out: they may look at
# anything.
imports() {
    { find Shared Services -name '*.swift' -print0 2>/dev/null || true; } | sort -z | xargs -0 --no-run-if-empty awk '
        {
            line = $0
            while (sub(/^[ \t]*@[A-Za-z_]+(\([^)]*\))?[ \t]+/, "", line)) { }
            sub(/^[ \t]*((public|package|internal|fileprivate|private)[ \t]+)?/, "", line)
            if (line !~ /^import[ \t]/) next
            sub(/^import[ \t]+((struct|class|enum|protocol|func|typealias|var|let|actor)[ \t]+)?/, "", line)
            sub(/[^A-Za-z0-9_].*$/, "", line)
            print FILENAME ":" FNR " " line
        }'
}

# Each line is a wall: KIND | where | modules | why. The first two patterns match whole paths and whole module names.
#   only   these modules are imported nowhere but there
#   allow  there, nothing but these modules is imported
#   deny   there, these modules are not imported
walls() {
    cat <<'TABLE'
only  | Shared/NATSClient/.* | CNats | one module wraps libnats
only  | Shared/JSON/.* | CJansson | one module wraps jansson
only  | Shared/Deflate/.* | CZlib | one module wraps zlib
only  | Services/Gateway/App/.* | CMalloc | only who has many connections has much to give back
only  | Shared/Prefetch/.* | CPrefetch | one module wraps the instruction
only  | Shared/TLS/.* | COpenSSL | one module wraps OpenSSL
only  | Shared/Reactor/.* | CEpoll | one module waits for descriptors
only  | Services/Gateway/(Edge|App)/.*|Shared/(NATSClient|EventBusNATS)/.* | Reactor | only those who own descriptors know the loop
only  | Services/Gateway/(Edge|App)/.* | TLS | the gateway's listening socket alone speaks TLS of its own
only  | Shared/EventBusNATS/.*|Shared/TestKit/.*|Services/Gateway/Probes/.* | NATSClient | services program against EventBus (and the micro-benchmarks measure its parser)
only  | Services/LiveSync/App/.*|Services/CommandLine/.* | GRDB|GRDBSQLite | only live sync reads databases (and `apus dev` makes one)
only  | Services/Gateway/(Edge|App)/.*|Shared/ServiceKit/.* | NIO.*|Hummingbird.* | only the gateway's edge and the admin routes know sockets
only  | Services/[^/]+/(App|Edge|Program)/.*|Services/TaskWorker/(Library|Testing)/.*|Services/CommandLine/.*|Shared/ServiceKit/.* | ServiceLifecycle|UnixSignals|ServiceKit | life cycles are the shells' business
only  | Shared/Identity/.* | JWTKit | one module knows tokens
only  | Shared/ServiceKit/.* | Configuration|Yams | one module reads configurations
only  | nowhere | GatewayProbes | what the micro-benchmarks drive, and nobody else
only  | nowhere | TestKit | linked by tests only
only  | nowhere | XCTest|Testing | tests live in Tests
allow | Shared/JSON/.* | CJansson|OrderedCollections|Foundation.*|Glibc|Musl|Darwin|Synchronization | the lowest layer
allow | Shared/Reactor/.* | CEpoll|HeapModule|Synchronization|Glibc|Musl | a loop that knows nothing of what it serves
allow | Shared/TLS/.* | COpenSSL|Synchronization|Glibc|Musl | sessions on descriptors, whatever is inside
allow | Shared/Prefetch/.* | CPrefetch | a hint to the processor
allow | Shared/Deflate/.* | CZlib | bytes in, bytes out
allow | Shared/Events/.* | JSON|Foundation.*|Glibc|Musl|Darwin | pure values
allow | Shared/EventBus/.* | JSON|Events|Logging|Synchronization|Dispatch|Foundation.*|Glibc|Musl|Darwin|DequeModule|HeapModule|Collections | a contract without a transport
allow | Shared/ChannelHandlers/.* | JSON|Events|EventBus|Logging|Synchronization | handlers speak to the gateway over any bus
allow | Shared/Tasks/.* | JSON|Events|Logging|Foundation.* | what a task sees: no bus, no worker
deny  | Shared/NATSClient/.* | Events|EventBus.*|Identity|ServiceKit | a NATS client that knows nothing of Apus
deny  | Shared/EventBusNATS/.* | Identity|ServiceKit|Hummingbird.* | the bus knows no services
deny  | Shared/Identity/.* | EventBus.*|NATSClient|ServiceKit|Logging | tokens are checked without a bus
deny  | Shared/.* | Gateway.*|Notifier.*|TaskWorker.*|LiveSync.*|apus | services stand on Shared, never the other way
deny  | Services/Gateway/.* | Notifier.*|TaskWorker.*|LiveSync.*|apus | services meet on the bus
deny  | Services/Notifier/.* | Gateway.*|TaskWorker.*|LiveSync.*|apus | services meet on the bus
deny  | Services/TaskWorker/.* | Gateway.*|Notifier.*|LiveSync.*|apus | services meet on the bus
deny  | Services/LiveSync/.* | Gateway.*|Notifier.*|TaskWorker.*|apus | services meet on the bus
deny  | Services/CommandLine/.* | Gateway.*|Notifier.*|TaskWorker.*|LiveSync.* | the tool talks to services over the bus
deny  | Services/[^/]+/Core/.* | EventBus.*|ServiceKit|Logging|Metrics|CoreMetrics|Dispatch | the core decides, App acts
allow | Services/Gateway/Wire/.* | JSON|Events|Foundation.*|OrderedCollections|BasicContainers | codecs are pure
deny  | Services/Gateway/Session/.* | EventBusNATS|ServiceKit|GatewayEdge|GatewayApp | sessions know no transport
deny  | Services/Gateway/Edge/.* | EventBusNATS|ServiceKit|GatewayApp | the edge knows sockets and sessions
TABLE
}

# What a pure folder must not say even without an import: KIND of thing, pattern. One line each.
impurities() {
    cat <<'TABLE'
an actor | ^[[:space:]]*((public|package|internal|private|final)[[:space:]]+)*actor[[:space:]]+[A-Z]
a task | (^|[^A-Za-z0-9_.])Task([.]detached)?[[:space:]]*[{(]
a clock | (ContinuousClock|SuspendingClock|DispatchTime)[[:space:]]*[(.]|[^A-Za-z0-9_]Date[(][)]
randomness | SystemRandomNumberGenerator|[^A-Za-z0-9_]UUID[(][)]|[.]random[(]in:[^,()]*[)]
TABLE
}

matches() { [[ $1 =~ ^($2)$ ]]; }
trim() {
    local text=$1
    text=${text#"${text%%[![:space:]]*}"}
    printf '%s' "${text%"${text##*[![:space:]]}"}"
}

problems=0
report() {
    echo "$1: $2"
    problems=$((problems + 1))
}

found=$(imports)
if [ -z "$found" ]; then
    echo "check-imports: no Swift file under Shared or Services in $PWD" >&2
    exit 1
fi

while read -r rule; do
    # Patterns hold `|` without spaces; the columns are divided by ` | `.
    kind=$(trim "${rule%% | *}") rest=${rule#* | }
    where=$(trim "${rest%% | *}") rest=${rest#* | }
    modules=$(trim "${rest%% | *}") why=$(trim "${rest#* | }")
    while read -r place module; do
        file=${place%:*}
        case $kind in
        only) if matches "$module" "$modules" && ! matches "$file" "$where"; then report "$place" "must not import $module: $why"; fi ;;
        deny) if matches "$file" "$where" && matches "$module" "$modules"; then report "$place" "must not import $module: $why"; fi ;;
        allow) if matches "$file" "$where" && ! matches "$module" "$modules"; then report "$place" "must not import $module: $why"; fi ;;
        *)
            echo "check-imports: unknown kind of wall: $kind" >&2
            exit 70
            ;;
        esac
    done <<<"$found"
done < <(walls)

while read -r rule; do
    thing=$(trim "${rule%% | *}") pattern=${rule#* | }
    while IFS=: read -r file line _; do
        [ -n "$file" ] || continue
        report "$file:$line" "holds $thing: wire codecs and service cores are pure, so it comes in as an argument"
    done < <(grep -rnHE --include='*.swift' "$pattern" Services/*/Core Services/Gateway/Wire Shared/Events 2>/dev/null |
        grep -vE '^[^:]+:[0-9]+:[[:space:]]*//' || true)
done < <(impurities)

if [ "$problems" -gt 0 ]; then
    echo "check-imports: $problems import(s) or statement(s) cross a wall" >&2
    exit 1
fi
echo "check-imports: $(wc -l <<<"$found") imports, no wall crossed"
