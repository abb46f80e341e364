#!/bin/sh
# SPDX-License-Identifier: MIT
# programs.sh SOURCE PROGRAM... - runs the C examples and compares what they print with examples/c/expected.txt; then looks for every
# example of docs/library.md, docs/long-range.md and docs/calculator.md in examples/c.
set -eu
source=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for program in "$@"; do
    name=$(basename "$program")
    echo "== ${name#example_}"
    case $name in
    *batch) "$program" "$source/tests/golden/opt/molecules.xyz" | head -4 ;;
    *crystal) "$program" "$source/examples/ice.xyz" ;;
    *) "$program" ;;
    esac
done >"$work/out"
diff "$source/examples/c/expected.txt" "$work/out"

# Fenced blocks that start with ```c and a line "/* NAME.c */" must stand in that file, blanks at the ends of lines aside.
awk -v work="$work" '
    /^```c$/ { getline; name = $2; n++; file = work "/block" n; print name > (work "/name" n); next_block = 1; next }
    /^```$/ { next_block = 0 }
    next_block { print > file }' "$source/docs/library.md" "$source/docs/long-range.md" "$source/docs/calculator.md"
n=0
for block in "$work"/block*; do
    name=$(cat "$work/name${block#"$work"/block}")
    awk 'NR == FNR { block = block $0 "\n"; next } { text = text $0 "\n" } END { exit index(text, block) == 0 }' "$block" \
        "$source/examples/c/$name" || { echo "docs: an example is not in $name:"; cat "$block"; exit 1; }
    n=$((n + 1))
done
[ "$n" -ge 7 ] || { echo "only $n examples found"; exit 1; }
