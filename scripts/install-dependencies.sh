#!/usr/bin/env bash
# Looks for what Apus needs and has apt install what is missing. Running it again changes nothing.
#
# Usage: install-dependencies.sh build|run|test|bench|bench-peers
#   build  compiling
#   run    the above, a NATS server and the sqlite3 shell
#   test   `run`, Python, and a browser with its driver for the tests
#   bench  `run`, and what the benchmarks start programs with
#   bench-peers  `bench`, and the servers that Apus is measured beside
#
# Without root (or sudo that asks nothing) or without apt it prints which packages to install and exits 1.
set -euo pipefail

purpose=${1:-test}
case $purpose in
build | run | test | bench | bench-peers) ;;
*)
    echo "usage: $(basename "$0") build|run|test|bench|bench-peers" >&2
    exit 64
    ;;
esac

# Debian puts servers such as nats-server where only root looks for programs.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

has_program() { command -v "$1" >/dev/null 2>&1; }
has_library() { has_program pkg-config && pkg-config --exists "$1"; }
# Not `grep -q`: it stops reading at once, and under pipefail the death of its source would be a library that is missing.
has_shared_library() { PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -F "$1" >/dev/null; }
has_certificates() { [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ]; }
has_python() {
    local python
    for python in python3 /usr/bin/python3; do
        if has_program "$python" && "$python" -c 'import ensurepip, venv' 2>/dev/null; then return 0; fi
    done
    return 1
}

missing=()
# need PACKAGE TEST…: notes the Debian package if the test fails.
need() {
    local package=$1
    shift
    "$@" || missing+=("$package")
}

find_missing() {
    missing=()
    need git has_program git
    need ca-certificates has_certificates # git fetches the dependencies by https
    # What the Swift toolchain itself is linked with, and the C++ library's development files that it links against.
    need libncurses6 has_shared_library libncurses.so.6
    need libcurl4 has_shared_library libcurl.so.4
    need libxml2 has_shared_library libxml2.so.2
    need g++ has_program g++
    need pkg-config has_program pkg-config
    need libnats-dev has_library libnats
    need libjansson-dev has_library jansson
    need zlib1g-dev has_library zlib
    need libssl-dev has_library openssl
    need libsqlite3-dev has_library sqlite3
    [ "$purpose" != build ] || return 0
    need nats-server has_program nats-server
    need sqlite3 has_program sqlite3
    [ "$purpose" != run ] || return 0
    case $purpose in bench*)
        need python3 has_program python3
        need util-linux has_program setpriv # pins programs to cores, and ends them with the harness
        [ "$purpose" != bench ] || return 0
        need python3-venv has_python
        need nodejs has_program node
        need node-ws [ -e /usr/share/nodejs/ws ]
        need nginx-light has_program nginx
        need redis-server has_program redis-server # Celery's broker
        need libnginx-mod-nchan [ -e /usr/lib/nginx/modules/ngx_nchan_module.so ]
        return 0
        ;;
    esac
    need curl has_program curl # the documentation's examples
    need python3-venv has_python
    need openssl has_program openssl      # makes the certificates of the tests with TLS
    need util-linux has_program setpriv   # so that no program of a test outlives it
    need chromium has_program chromium
    need chromium-driver has_program chromedriver
    need systemd has_program systemd-analyze # only to verify the units in deploy/systemd
}

check_swift() {
    local version
    if has_program swift && ! swift --version >/dev/null 2>&1; then
        echo "Swift is here ($(command -v swift)) but does not run:" >&2
        swift --version >&2 || exit 1
    fi
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1) || true
    if [ -z "$version" ]; then
        cat >&2 <<'TEXT'
Swift is missing, and Debian has no package of a recent one. Install it from https://www.swift.org/install/linux:

    curl -O https://download.swift.org/swiftly/linux/swiftly-$(uname -m).tar.gz
    tar zxf swiftly-$(uname -m).tar.gz && ./swiftly init

then open a new shell and repeat this command.
TEXT
        exit 1
    fi
    local major=${version% *} minor=${version#* }
    if [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 2 ]; }; then
        echo "Swift ${major}.${minor} is too old: Apus needs 6.2 or later, from https://www.swift.org/install/linux" >&2
        exit 1
    fi
}

find_missing
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if ! has_program apt-get; then
        echo "Missing here (Debian's names of the packages): ${missing[*]}" >&2
        echo "There is no apt-get on this system: install them with its own package manager, then repeat the command." >&2
        exit 1
    fi
    if [ ${#as_root[@]} -gt 0 ] && ! sudo -n true 2>/dev/null; then
        echo "Missing packages, and this is neither root nor a user whom sudo asks no password. Please run:" >&2
        echo >&2
        echo "    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "== installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null ||
        { echo "apt-get could not install ${missing[*]}" >&2 && exit 1; }
    find_missing
    if [ ${#missing[@]} -gt 0 ]; then
        echo "Still missing after apt-get: ${missing[*]}" >&2
        exit 1
    fi
fi
check_swift
