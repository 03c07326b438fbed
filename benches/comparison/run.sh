#!/usr/bin/env bash
# Builds what is missing, plays every case to every library, and leaves results.json:
#
#   bash benches/comparison/run.sh [--clean] [--case ID]... [LIBRARY]...
#
# Needs Rust, Node 20, Python 3.11 and valgrind, and takes some quarter of an hour beside the builds. Each
# library of Rust is built by itself, in a folder of its own. With --clean they are built from nothing,
# one after the other, which gives the build times: about two minutes each on two CPUs.
set -euo pipefail
cd "$(dirname "$0")"

export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
rust=(ours by-hand huskarl-adapter azure object-store aws-smithy)
clean=''
if [[ ${1-} == --clean ]]; then
    clean=yes
    shift
fi

mkdir -p target
for library in "${rust[@]}"; do
    folder=target/$library
    if [[ -n $clean ]]; then rm -rf "$folder"; fi
    before=$(date +%s)
    if [[ -e $folder ]]; then
        CARGO_TARGET_DIR=$folder cargo build --quiet --locked --release -p "$library"
    else
        # User and system time of the build, which other programs on the machine change little.
        TIMEFORMAT='%U %S'
        { time CARGO_TARGET_DIR=$folder cargo build --quiet --locked --release -p "$library"; } 2>target/time || {
            cat target/time >&2
            exit 1
        }
        awk 'END { printf "%.0f\n", $1 + $2 }' target/time >"$folder/seconds"
    fi
    echo "$library: $(($(date +%s) - before)) s"
done

if [[ ! -d node/node_modules ]]; then (cd node && npm ci); fi
if [[ ! -d python/venv ]]; then
    python3 -m venv python/venv
    python/venv/bin/pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: \
        --requirement python/requirements.txt
fi

CARGO_TARGET_DIR=target/harness cargo build --quiet --locked -p harness
# 1,000 calls at once have 1,000 connections.
ulimit -n 8192
target/harness/debug/harness "$@"
