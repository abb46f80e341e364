#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds libyaml for Windows into a folder, for cmake/x86_64-w64-mingw32.cmake. Usage: tools/mingw_sysroot.sh FOLDER
# Takes Debian's source package through a private package index: no root. Compiler, zlib and Wine are ordinary packages:
# apt-get install gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix libz-mingw-w64-dev wine64
set -eu
target=${1:?usage: $0 FOLDER}
compiler=x86_64-w64-mingw32-gcc-posix

mkdir -p "$target/lib" "$target/include"
target=$(cd "$target" && pwd)
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/source"
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null | grep -v '^#' | grep -o 'https\{0,1\}://[^ ]*/debian\b' | head -n 1)
key=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$key] ${mirror:-http://deb.debian.org/debian} $codename main" > "$state/sources"
options="-o Dir::Etc::sourcelist=$state/sources -o Dir::Etc::sourceparts=/dev/null -o Dir::State=$state -o Dir::Cache=$state -o APT::Sandbox::User=root"
# shellcheck disable=SC2086
apt-get -qq $options update
# shellcheck disable=SC2086
(cd "$state/source" && apt-get -qq $options source --download-only libyaml && tar xf libyaml_*.orig.tar.gz)
cd "$state"/source/*/src
for file in *.c; do
    $compiler -O2 -DYAML_DECLARE_STATIC -DYAML_VERSION_STRING='"0.2.5"' -DYAML_VERSION_MAJOR=0 -DYAML_VERSION_MINOR=2 -DYAML_VERSION_PATCH=5 \
        -I../include -c "$file"
done
x86_64-w64-mingw32-ar rcs "$target/lib/libyaml.a" ./*.o
cp ../include/yaml.h "$target/include"
echo "$target: libyaml $(basename "$(cd ../.. && ls -d ./*/ | head -n 1)")"
