#!/usr/bin/env bash
# Says where the gateway's instructions go: runs small loads against a copy of it under valgrind's callgrind and prints a
# table for each.
#
# Usage: profile-gateway.sh [--functions] [fan-out | channels | connect | connect-users …]
#   BENCH_GATEWAY=PATH  profile this gateway instead of building one
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

command -v valgrind >/dev/null || { echo 'valgrind is missing: apt-get install valgrind' >&2; exit 1; }
folder=$PWD/.build/benchmarks
mkdir -p "$folder"
gateway=${BENCH_GATEWAY-}
if [ -z "$gateway" ]; then
    scripts/build.sh release --product apus-gateway
    gateway=$(swift build -c release --show-bin-path)/apus-gateway
fi
cc -O2 -D_GNU_SOURCE -Wall -Wextra -o "$folder/load" Benchmarks/Load/*.c -lssl -lcrypto
cc -O2 -Wall -Wextra -shared -fPIC -o "$folder/sigsuspend.so" Benchmarks/Profile/sigsuspend.c
exec python3 -B Benchmarks/Harness/profile.py --gateway "$gateway" --load "$folder/load" \
    --preloaded "$folder/sigsuspend.so" "$@"
