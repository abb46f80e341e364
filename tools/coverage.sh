#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Line and branch coverage of the readers of binary model files by their unit tests. Usage: tools/coverage.sh BUILD_FOLDER
# The readers are compiled once more with --coverage and linked in front of the library of that build (release); gcovr prints the
# table. Fails if anything was not reached that docs/security.md does not list.
set -eu
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/.." && pwd)
readers="io/zip io/pickle io/pickle_tree io/pt io/torch io/tensor io/safetensors io/json io/json_tree io/names io/inflate io/npy
         model/script model/script_walk model/script_outputs model/fallback"
tests="zip pickle pt json safetensors model model_corpus script npy hub kinds script_tree structure_files save export"
work=$build/coverage
rm -rf "$work" && mkdir -p "$work" && cd "$work"
for name in $readers; do
    gcc -std=c17 -O0 -g --coverage -I"$source/include" -I"$source/src" -DAIMNET_BUILD=1 -c "$source/src/$name.c" -o "$(basename "$name").o"
done
for name in $tests; do
    gcc -std=c17 -O1 -I"$source/include" -I"$source/src" -I"$source/tests/unit" -DAIM_SOURCE_DIR="\"$source\"" \
        -DAIM_REDZONES=1 -DAIM_TEST_TMP="\"$work\"" "$source/tests/unit/test_$name.c" "$source/tests/unit/torch_writer.c" "$source/tests/unit/model_file.c" ./*.o \
        "$build/libaimnet.a" --coverage -lcmocka -lz -lyaml -ljansson -lpthread -lm -ldl -o "test_$name"
    "./test_$name" > "$name.log" 2>&1 || { cat "$name.log"; exit 1; }
done
gcovr --root "$source" --object-directory "$work" --filter "$source/src/.*[.]c" --branches "$work"
gcovr --root "$source" --object-directory "$work" --filter "$source/src/.*[.]c" "$work"
gcovr --root "$source" --object-directory "$work" --filter "$source/src/.*[.]c" --json "$work/report.json" "$work"
"$source/tools/uncovered.py" "$work/report.json" "$source/docs/security.md"
