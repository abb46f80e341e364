#!/bin/sh
# SPDX-License-Identifier: MIT
# session.sh SOURCE AIMNET PAGE - runs the `$ aimnet ...` lines of a page of docs in a folder with the examples, in their order; each must succeed.
set -eu
source=$1 aimnet=$2 page=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$source"/examples/*.xyz "$work"
mkdir "$work/bin"
ln -s "$aimnet" "$work/bin/aimnet"
PATH=$work/bin:$PATH
cd "$work"
n=0
sed -n 's/^\$ \(aimnet .*\)/\1/p' "$source/docs/$page" | sed 's/  *#.*//' >commands
while read -r line; do
    sh -c "$line" >out 2>err </dev/null || { echo "failed: $line"; cat out err; exit 1; }
    n=$((n + 1))
done <commands
[ "$n" -ge 6 ] || { echo "only $n commands found"; exit 1; }
echo "$n commands"
