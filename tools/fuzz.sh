#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every libFuzzer target of a build for a number of seconds each, starting from its seeds. New inputs are kept in the build
# folder; a finding is a file crash-* there and fails. Usage: tools/fuzz.sh BUILD_FOLDER SECONDS [TARGET...]
set -eu
build=$(cd "$1" && pwd)
seconds=$2
shift 2
seeds=$(cd "$(dirname "$0")/../tests/fuzz/seeds" && pwd)
[ $# -gt 0 ] || set -- "$build"/tests/fuzz/fuzz_*
for target in "$@"; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=$(basename "$target")
    mkdir -p "$build/corpus/$name"
    echo "== $name for $seconds s"
    dict=$seeds/../$name.dict
    "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -verbosity=0 \
        $([ -f "$dict" ] && echo "-dict=$dict") -artifact_prefix="$build/$name-" "$build/corpus/$name" "$seeds/$name"
done
