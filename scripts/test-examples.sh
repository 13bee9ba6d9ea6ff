#!/usr/bin/env bash
# Builds the examples in Swift as the packages that they are, then runs all examples against a NATS
# server and drives them from outside. Prints a line "ok …" or "not ok …" for each thing that was looked at.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# The build folder of the project serves these packages too, so that what they and it depend on is compiled once. SwiftPM
# keeps the plan of the last build there: these must not be taken from it, and must not be taken by the next one.
plan=.build/debug.yaml
trap 'rm -f "$plan"' EXIT

# build FOLDER ARGUMENT…: builds the package.
build() {
    local folder=$1 begun=$SECONDS
    shift
    swift build --package-path "$folder" --scratch-path "$PWD/.build" --disable-build-manifest-caching "$@"
    echo "ok $folder builds as a package of its own ($((SECONDS - begun)) s)"
}
build Examples/own-service
build Examples/chat
build Examples/own-worker --build-tests

programs=$(swift build --package-path Examples/own-worker --scratch-path "$PWD/.build" --show-bin-path)
"$programs"/words-workerPackageTests.xctest --testing-library swift-testing
echo "ok Examples/own-worker tests its task"

.venv/bin/python Tests/ExampleTests/examples.py "$programs"
