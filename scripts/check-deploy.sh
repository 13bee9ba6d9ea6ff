#!/usr/bin/env bash
# Checks the files in deploy/ as far as that is possible without running them: each by the program that will read it
# where that is at hand, the rest by their form.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo '-- nats.conf'
nats-server -t -c deploy/nats.conf

echo '-- systemd units'
for unit in deploy/systemd/*.service; do
    name=$(basename "$unit")
    # `verify` insists on the program being installed; everything else of the unit is checked as it is.
    sed 's|^ExecStart=/usr/bin/apus-[a-z]* |ExecStart=/bin/true |' "$unit" >"$work/$name"
    grep -q "^ExecStart=/usr/bin/${name%.service} --config " "$unit" ||
        { echo "$unit: does not start ${name%.service}" >&2; exit 1; }
    # systemd-analyze exits 0 for what it only warns of, such as an unknown key.
    warnings=$(systemd-analyze verify "$work/$name" 2>&1 | grep -F "$name" || true)
    if [ -n "$warnings" ]; then
        echo "$warnings" >&2
        exit 1
    fi
    # Exposure from 0 (none) to 10, times ten; an unhardened service has 9.6.
    systemd-analyze security --offline=true --threshold=20 --no-pager "$work/$name" >"$work/exposure" 2>&1 ||
        { cat "$work/exposure" >&2; exit 1; }
    drain=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)s$/\1/p' "$unit")
    [ "${drain:-0}" -gt 30 ] || { echo "$unit: TimeoutStopSec must exceed shutdown.timeout, 30 s" >&2; exit 1; }
done
echo "$(find deploy/systemd -name '*.service' | wc -l) units verified"

echo '-- Dockerfile, YAML, environment'
.venv/bin/python scripts/check_deploy_files.py
