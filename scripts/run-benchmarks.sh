#!/usr/bin/env bash
# Builds the gateway and the worker in release mode and the load generator, and measures. Numbers hold for this machine, now.
#
# Usage: run-benchmarks.sh [micro | MEASUREMENT…]     without: the micro-benchmarks and a subset that takes some minutes
#   BENCH=full          everything, and more rounds
#   BENCH_GATEWAY=PATH  measure this gateway instead of building one
#   BENCH_WORKER=PATH   measure this task worker instead of building one
#
# Names of measurements: run-benchmarks.sh --help. Exits 1 if messages were lost, repeated or out of order, if a
# measurement failed, or if a micro-benchmark is over its threshold.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

folder=$PWD/.build/benchmarks
mkdir -p "$folder"
status=0

micro=false processes=true
case ${1-} in
'') micro=true ;;
micro) micro=true processes=false ;;
esac

gateway=${BENCH_GATEWAY-}
if [ -z "$gateway" ] && $processes; then
    echo '== the gateway, in release mode'
    scripts/build.sh release --product apus-gateway
    gateway=$(swift build -c release --show-bin-path)/apus-gateway
fi

worker=${BENCH_WORKER-}
if [ -z "$worker" ] && $processes; then
    echo '== the task worker, in release mode'
    scripts/build.sh release --product apus-worker
    worker=$(swift build -c release --show-bin-path)/apus-worker
fi

if $micro; then
    echo '== micro-benchmarks'
    # The project's build folder serves this package too, so that what both depend on is compiled once.
    build=(swift build --package-path Benchmarks --scratch-path "$PWD/.build" -c release)
    "${build[@]}" --explicit-target-dependency-import-check error
    echo
    "$("${build[@]}" --show-bin-path)/Microbenchmarks" Benchmarks/thresholds.json || status=1
fi

if $processes; then
    cc -O2 -D_GNU_SOURCE -Wall -Wextra -o "$folder/load" Benchmarks/Load/*.c -lssl -lcrypto
    full=()
    if [ "${BENCH-}" = full ]; then full=(--full); fi
    echo
    python3 -B Benchmarks/Harness --gateway "$gateway" --worker "$worker" --load "$folder/load" --python "$folder/python" \
        --results "$folder/results" --plots docs/benchmarks "${full[@]}" "$@" || status=1
fi
exit "$status"
