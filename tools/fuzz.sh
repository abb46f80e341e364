#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every libFuzzer target of a build for a number of seconds each, starting from its seeds. New inputs are kept in the build
# folder; a finding is a file crash-* there and fails. Usage: tools/fuzz.sh BUILD_FOLDER SECONDS [TARGET...]
set -eu
build=$(cd "$1" && pwd)
seconds=$2
shift 2
tests=$(cd "$(dirname "$0")/../tests/fuzz" && pwd)
[ $# -gt 0 ] || set -- "$build"/tests/fuzz/fuzz_*
for target in "$@"; do # the list was expanded before the loop sets its own arguments
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=$(basename "$target")
    mkdir -p "$build/corpus/$name"
    echo "== $name for $seconds s"
    set -- "$build/corpus/$name"
    for folder in "$tests/seeds/$name" "$tests/corpus/$name"; do
        [ ! -d "$folder" ] || set -- "$@" "$folder"
    done
    [ -d "$tests/seeds/$name" ] || set -- "$@" "$tests/seeds/fuzz_structure" # targets of one structure format
    dict=$tests/$name.dict
    "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -verbosity=0 \
        $([ -f "$dict" ] && echo "-dict=$dict") -artifact_prefix="$build/$name-" "$@"
done
