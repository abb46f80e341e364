#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the unit tests of a build without sanitizers, and the command on examples/, under valgrind's memcheck: any error or leak
# fails. AVX-512 code is not known to valgrind: AIM_ISA=avx2 keeps to what it can run. Usage: tools/valgrind.sh BUILD_FOLDER [TEST...]
set -eu
build=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
export AIM_ISA="${AIM_ISA:-avx2}"
check="valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all"
failed=""
[ $# -gt 0 ] || set -- "$build"/tests/unit/test_*
for test in "$@"; do
    [ -f "$test" ] && [ -x "$test" ] || continue
    echo "== $test"
    $check "$test" > "$build/valgrind.log" 2>&1 || { failed="$failed $test"; cat "$build/valgrind.log"; }
done
if [ -x "$build/aimnet" ]; then
    for file in "$root"/examples/*.xyz; do
        echo "== aimnet energy $file"
        $check "$build/aimnet" energy --forces --charges --json "$file" > "$build/valgrind.log" 2>&1 ||
            { failed="$failed $file"; cat "$build/valgrind.log"; }
    done
fi
if [ -n "$failed" ]; then
    echo "valgrind found errors:$failed"
    exit 1
fi
echo "valgrind: no errors, no leaks"
