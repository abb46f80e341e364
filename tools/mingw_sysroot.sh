#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds libyaml, and cmocka and jansson of the tests, for Windows into a folder, for cmake/x86_64-w64-mingw32.cmake. Usage: tools/mingw_sysroot.sh FOLDER
# Takes Debian's source packages through a private package index: no root. Compiler, zlib and Wine are ordinary packages:
# apt-get install cmake gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix libz-mingw-w64-dev wine64
set -eu
target=${1:?usage: $0 FOLDER}
toolchain=$(cd "$(dirname "$0")/.." && pwd)/cmake/x86_64-w64-mingw32.cmake

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
cd "$state/source"
# shellcheck disable=SC2086
apt-get -qq $options source --download-only libyaml cmocka jansson
for archive in *.orig.tar.*z; do
    tar xf "$archive"
done

# build SOURCE GOAL LIBRARY OPTIONS...: a library by its own CMake files, as $target/lib/libLIBRARY.a
build() {
    name=$1 goal=$2 library=$3
    shift 3
    if ! { cmake -S "$name"-* -B "build_$name" -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DCMAKE_BUILD_TYPE=Release "$@" &&
        cmake --build "build_$name" --target "$goal"; } > "$name.log" 2>&1; then
        tail -n 20 "$name.log"
        exit 1
    fi
    cp "$(find "build_$name" -name "lib$goal.a" | head -n 1)" "$target/lib/lib$library.a"
}
build libyaml yaml yaml -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF
build cmocka cmocka-static cmocka -DWITH_STATIC_LIB=ON -DWITH_EXAMPLES=OFF
build jansson jansson jansson -DJANSSON_BUILD_DOCS=OFF -DJANSSON_WITHOUT_TESTS=ON -DJANSSON_EXAMPLES=OFF
cp libyaml-*/include/yaml.h cmocka-*/include/cmocka*.h jansson-*/src/jansson.h build_jansson/include/jansson_config.h "$target/include"
echo "$target: $(ls "$target/lib" | tr '\n' ' ')"
