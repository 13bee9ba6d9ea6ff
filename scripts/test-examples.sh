#!/usr/bin/env bash
# Builds Examples/own-service and Examples/chat as the packages that they are, then runs all examples against a NATS
# server and drives them from outside. Prints a line "ok …" or "not ok …" for each thing that was looked at.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# The build folder of the project serves these packages too, so that what they and it depend on is compiled once. SwiftPM
# keeps the plan of the last build there: these must not be taken from it, and must not be taken by the next one.
plan=.build/debug.yaml
trap 'rm -f "$plan"' EXIT

# build FOLDER PROGRAM: builds the package and sets `program` to the program's path.
build() {
    local package=(--package-path "$1" --scratch-path "$PWD/.build" --disable-build-manifest-caching) begun=$SECONDS
    swift build "${package[@]}"
    program=$(swift build "${package[@]}" --show-bin-path)/$2
    echo "ok $1 builds as a package of its own ($((SECONDS - begun)) s)"
}
build Examples/own-service shipments
shipments=$program
build Examples/chat chat
chat=$program
gateway=$(dirname "$program")/apus-gateway

.venv/bin/python Tests/ExampleTests/examples.py "$shipments" Examples/any-language "$chat" "$gateway" Examples/chat/chat.yaml
