#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs into a temporary prefix, moves it (packages must be relocatable), and builds the outsider's program against it with
# pkg-config and with find_package, shared and static; all four must print the same energy.
# Usage: run.sh CMAKE BUILD_FOLDER CC FOLDER_FOR_TEMPORARY_FILES PKG_CONFIG
set -eu
cmake=$1 build=$2 cc=$3 work=$4/outsider.$$ pkg_config=$5
source=$(cd "$(dirname "$0")/outsider" && pwd)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"

"$cmake" --install "$build" --prefix "$work/installed" > "$work/log"
mv "$work/installed" "$work/moved"
prefix=$work/moved
libdir=$(dirname "$(find "$prefix" -name libaimnet.a)")
export LD_LIBRARY_PATH="$libdir"

if [ -n "$pkg_config" ]; then
    export PKG_CONFIG_PATH="$libdir/pkgconfig"
    # shellcheck disable=SC2046
    "$cc" -o "$work/pc_shared" "$source/outsider.c" $("$pkg_config" --cflags --libs aimnet)
    # shellcheck disable=SC2046
    "$cc" -o "$work/pc_static" "$source/outsider.c" $("$pkg_config" --cflags aimnet) \
        $("$pkg_config" --static --libs aimnet | sed "s|-laimnet|$libdir/libaimnet.a|")
    "$work/pc_shared" > "$work/out.pc_shared"
    "$work/pc_static" > "$work/out.pc_static"
fi
"$cmake" -S "$source" -B "$work/b" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" > "$work/log"
"$cmake" --build "$work/b" > "$work/log"
"$work/b/with_shared" > "$work/out.cmake_shared"
"$work/b/with_static" > "$work/out.cmake_static"

cat "$work/out.cmake_shared"
for out in "$work"/out.*; do
    cmp "$out" "$work/out.cmake_shared"
done
if [ -x "$prefix/bin/aimnet" ]; then
    "$prefix/bin/aimnet" --version
fi
