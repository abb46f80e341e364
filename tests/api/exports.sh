#!/bin/sh
# SPDX-License-Identifier: MIT
# The shared library exports exactly the functions that the public headers declare; every external name of the static library
# starts with aimnet_ or aim_. Usage: exports.sh NM INCLUDE_FOLDER SHARED STATIC
set -eu
nm=$1 include=$2 shared=$3 static=$4
failed=0

declared=$(cat "$include"/*.h | sed 's|/\*.*\*/||' | tr '\n' ' ' |
    grep -oE 'AIMNET_API[^;(]*[ *]aimnet_[a-z0-9_]+ *\(' | grep -oE 'aimnet_[a-z0-9_]+ *\($' | tr -d ' (' | LC_ALL=C sort -u)
exported=$("$nm" -D --defined-only "$shared" | awk '{ print $NF }' | sed 's/@.*//' | grep -v '^__\(asan\|tsan\|ubsan\|odr\)' |
    LC_ALL=C sort -u)

for name in $exported; do
    echo "$declared" | grep -qx "$name" || { echo "exported, but not declared in a public header: $name"; failed=1; }
done
for name in $declared; do
    echo "$exported" | grep -qx "$name" || { echo "declared, but not exported: $name"; failed=1; }
done

stray=$("$nm" -g --defined-only "$static" | awk 'NF == 3 { print $3 }' |
    grep -vE '^(aim_|aimnet_|__odr_asan|__asan|__tsan|__sanitizer|__start_|__stop_|DW\.ref)' || true)
if [ -n "$stray" ]; then
    echo "external names without a prefix in the static library:" $stray
    failed=1
fi
echo "$(echo "$declared" | wc -l) functions declared"
exit $failed
