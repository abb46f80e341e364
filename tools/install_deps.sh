#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs the Debian packages that are missing. Usage: tools/install_deps.sh [build|test|dev]
#   build   what the library and the command need
#   test    and what the tests need (default)
#   dev     and clang, clang-format, valgrind for `make clang`, `make format`, `make fuzz`, `make valgrind`
# Does nothing where nothing is missing. Needs root or sudo otherwise; without either it names the packages and fails.
set -eu

build="gcc libc6-dev make cmake pkg-config zlib1g-dev libyaml-dev"
test="g++ libcmocka-dev libjansson-dev liblapack3 locales libcurl4 openssl python3 python3-numpy python3-venv"
dev="clang clang-format llvm valgrind afl++ gcovr"

case ${1:-test} in
build) wanted=$build ;;
test) wanted="$build $test" ;;
dev) wanted="$build $test $dev" ;;
*)
    echo "usage: $0 [build|test|dev]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query > /dev/null 2>&1; then
    echo "not a Debian system: please install the equivalents of: $wanted"
    exit 0
fi
missing=""
for package in $wanted; do
    # A virtual package (pkg-config may be provided by pkgconf) counts as present when its program is.
    if ! dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'install ok installed' &&
        ! { [ "$package" = pkg-config ] && command -v pkg-config > /dev/null 2>&1; }; then
        missing="$missing $package"
    fi
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo > /dev/null 2>&1; then
    as_root="sudo"
    [ -t 0 ] || as_root="sudo -n"
else
    echo "missing packages; please run as root: apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# Stale indices of one source must not stop the installation; a really missing package does.
# shellcheck disable=SC2086
$as_root apt-get -qq update || echo "apt-get update failed; trying with the package lists that are there" >&2
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing > /dev/null
