#!/usr/bin/env bash
# Builds Examples/own-service as the package that it is, then runs both examples against a NATS server and drives them
# from outside. Prints a line "ok …" or "not ok …" for each thing that was looked at.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# The build folder of the project serves this package too, so that what both depend on is compiled once. SwiftPM keeps the
# plan of the last build there: this one must not be taken from it, and must not be taken by the next one.
plan=.build/debug.yaml
trap 'rm -f "$plan"' EXIT
own_service=(--package-path Examples/own-service --scratch-path "$PWD/.build" --disable-build-manifest-caching)
begun=$SECONDS
swift build "${own_service[@]}"
shipments=$(swift build "${own_service[@]}" --show-bin-path)/shipments
echo "ok Examples/own-service builds as a package of its own ($((SECONDS - begun)) s)"

.venv/bin/python Tests/ExampleTests/examples.py "$shipments" .venv/bin/python Examples/any-language/prices.py
