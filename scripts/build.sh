#!/usr/bin/env bash
# Builds the package and says what is going on, since the first build compiles every dependency too.
# Usage: build.sh CONFIGURATION [more arguments of `swift build`]
set -euo pipefail
cd "$(dirname "$0")/.."

configuration=$1
shift

binaries=$(swift build -c "$configuration" --show-bin-path)
if [ ! -d "$binaries/Modules" ]; then
    echo "== first build ($configuration): compiles the dependencies too, about ten minutes on two cores, seconds from then on"
else
    echo "== build ($configuration)"
fi

started=$SECONDS
# The walls between our own modules hold at build time too: a module not listed as a dependency cannot be imported.
swift build -c "$configuration" --explicit-target-dependency-import-check error "$@"
echo "== built in $((SECONDS - started)) s"
