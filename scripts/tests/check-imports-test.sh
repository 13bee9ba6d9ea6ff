#!/usr/bin/env bash
# Shows that check-imports.sh finds what it is there for: each violation alone is put into a small tree and must be
# reported at its place; the same tree without it must pass.
set -euo pipefail
check=$(cd "$(dirname "$0")/.." && pwd)/check-imports.sh

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0 failed=0

# put FILE TEXT: a Swift file in the tree.
put() {
    mkdir -p "$tree/$(dirname "$1")"
    printf '%s\n' "$2" >"$tree/$1"
}

clean_tree() {
    rm -rf "${tree:?}"/*
    put Shared/NATSClient/Connection.swift $'internal import CNats\nimport Logging'
    put Shared/JSON/Parser.swift 'internal import CJansson'
    put Shared/Events/Subjects.swift 'public import JSON'
    put Shared/EventBusNATS/Bus.swift $'public import EventBus\ninternal import NATSClient'
    put Shared/ServiceKit/Admin.swift 'import Hummingbird'
    put Services/Gateway/Wire/Codec.swift $'// Task { } and Date() are fine in a comment\npackage import Events'
    put Services/Gateway/Edge/Server.swift 'import NIOCore'
    put Services/Notifier/Core/Rule.swift 'import Mustache'
    put Services/Notifier/App/Build.swift 'public import ServiceKit'
}

expect_pass() {
    if output=$("$check" "$tree" 2>&1); then passed=$((passed + 1)); else
        failed=$((failed + 1))
        printf 'not accepted: %s\n%s\n' "$1" "$output"
    fi
}

# expect_failure FILE TEXT: the file with that second line makes the check exit 1 and name the place.
expect_failure() {
    clean_tree
    put "$1" $'// first line\n'"$2"
    local status=0
    output=$("$check" "$tree" 2>&1) || status=$?
    if [ "$status" -eq 1 ] && grep -q "^$1:2: " <<<"$output"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        printf 'not found (exit %s): %s in %s\n%s\n' "$status" "$2" "$1" "$output"
    fi
}

clean_tree
expect_pass 'a tree without violations'

expect_failure Shared/EventBusNATS/Direct.swift 'internal import CNats'
expect_failure Services/Gateway/Edge/Encrypt.swift 'internal import COpenSSL'
expect_failure Services/Gateway/Session/Encrypt.swift 'internal import TLS'
expect_failure Services/Notifier/Core/Parse.swift '@preconcurrency import CJansson'
expect_failure Services/Gateway/Wire/Phoenix.swift 'import NIOCore'
expect_failure Services/Gateway/Wire/Phoenix.swift 'package import NIOWebSocket'
expect_failure Services/Gateway/Wire/Phoenix.swift 'import Logging'
expect_failure Services/Gateway/Wire/Phoenix.swift '    Task { await send() }'
expect_failure Services/Gateway/Wire/Phoenix.swift 'let now = ContinuousClock.now'
expect_failure Services/Gateway/Wire/Phoenix.swift 'package actor Codec {'
expect_failure Services/Gateway/Session/Shard.swift 'import NIOPosix'
expect_failure Services/Gateway/Session/Shard.swift 'import Hummingbird'
expect_failure Services/Gateway/Session/Shard.swift 'import EventBusNATS'
expect_failure Services/Gateway/App/Build.swift 'import NotifierCore'
expect_failure Services/Gateway/App/Build.swift '@testable import struct TaskWorkerCore.Attempt'
expect_failure Services/TaskWorker/App/Build.swift 'import NATSClient'
expect_failure Services/TaskWorker/App/Http.swift 'import Hummingbird'
expect_failure Services/LiveSync/Core/Row.swift 'import GRDB'
expect_failure Services/LiveSync/Core/Row.swift 'let id = UUID()'
expect_failure Services/CommandLine/Dev.swift 'import GatewayApp'
expect_failure Shared/Events/Clock.swift 'import Logging'
expect_failure Shared/EventBus/Memory.swift 'import NATSClient'
expect_failure Shared/NATSClient/Typed.swift 'import Events'
expect_failure Shared/ServiceKit/Peek.swift 'import LiveSyncCore'
expect_failure Services/Notifier/App/Fake.swift 'import TestKit'

rm -rf "${tree:?}"/*
status=0
output=$("$check" "$tree" 2>&1) || status=$?
if [ "$status" -eq 1 ] && grep -q 'no Swift file' <<<"$output"; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "an empty tree must not pass (exit $status): a check that looked at nothing has checked nothing"
fi

echo "check-imports-test: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
