#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh CASE.sh - runs one test of the command and compares what it printed with the files beside it:
#     CASE.stdout.exact | CASE.stdout.glob | CASE.stdout.near   standard output (compare.c explains the three)
#     CASE.stderr.exact | CASE.stderr.glob                      standard error; without such a file it is not looked at
#     CASE.exit                                                 the exit status of the case; 0 without such a file
# The case runs in an empty folder with AIMNET (the command), COMPARE, PEAK, DATA (tests/cli/data), MOLECULES, MODELS and SOURCE set.
set -u
case_file=$1
: "${AIMNET:?}" "${COMPARE:?}"
here=$(cd "$(dirname "$0")" && pwd)
case_file=$(cd "$(dirname "$case_file")" && pwd)/$(basename "$case_file")
stem=${case_file%.sh}
SOURCE=$(cd "$here/../.." && pwd)
DATA=$here/data MOLECULES=$SOURCE/tests/golden/molecules MODELS=$SOURCE/tests/golden/models
export AIMNET COMPARE DATA MOLECULES MODELS SOURCE

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
mkdir "$work/run"
(cd "$work/run" && exec sh "$case_file") >"$work/stdout" 2>"$work/stderr" </dev/null
status=$?

failed=0
check() { # stream kind
    [ -f "$stem.$1.$2" ] || return 0
    if ! "$COMPARE" "$2" "$stem.$1.$2" "$work/$1"; then
        echo "--- $1 differs from $stem.$1.$2"
        failed=1
    fi
}
check stdout exact
check stdout glob
check stdout near
check stderr exact
check stderr glob

expected=0
[ -f "$stem.exit" ] && expected=$(cat "$stem.exit")
if [ "$status" != "$expected" ]; then
    echo "--- exit status $status, expected $expected"
    failed=1
fi
if [ "$failed" != 0 ]; then
    echo "--- stdout was"
    head -c 20000 "$work/stdout"
    echo "--- stderr was"
    head -c 20000 "$work/stderr"
    echo "--- again: AIMNET=$AIMNET COMPARE=$COMPARE PEAK=${PEAK:-} sh $0 $case_file"
fi
exit $failed
