#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Unpacks the arm64 libraries that the cross build links against into a folder, for cmake/aarch64-linux-gnu.cmake. Usage: tools/arm64_sysroot.sh FOLDER
# Takes Debian's own packages through a private package index: no root, no foreign architecture on this system. Compiler, C library and emulator are
# ordinary packages: apt-get install gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
set -eu
target=${1:?usage: $0 FOLDER}
packages="zlib1g zlib1g-dev libyaml-0-2 libyaml-dev libcmocka0 libcmocka-dev libjansson4 libjansson-dev liblapack3 libblas3 libgfortran5"

mkdir -p "$target"
target=$(cd "$target" && pwd)
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/deb"
: > "$state/status"
options="-o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State=$state -o Dir::State::status=$state/status -o Dir::Cache=$state -o APT::Sandbox::User=root"
# shellcheck disable=SC2086
apt-get -qq $options update
# shellcheck disable=SC2086
(cd "$state/deb" && apt-get -qq $options download $packages)
for package in "$state"/deb/*.deb; do
    dpkg-deb -x "$package" "$target"
done
echo "$target: $(ls "$state/deb" | wc -l) packages"
