#!/usr/bin/env bash
# Builds the benchmarks and the gateway in release mode and runs them. Numbers hold for this machine, now.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

scripts/build.sh release --product apus-gateway
gateway=$(swift build -c release --show-bin-path)/apus-gateway

echo '== benchmarks'
# The project's build folder serves this package too, so that what both depend on is compiled once.
swift build --package-path Benchmarks --scratch-path "$PWD/.build" -c release
benchmarks=$(swift build --package-path Benchmarks --scratch-path "$PWD/.build" -c release --show-bin-path)

echo
echo "machine: $(nproc) cores, $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
echo
"$benchmarks/Microbenchmarks"
echo
"$benchmarks/FanOut" "$gateway"
