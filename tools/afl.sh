#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one fuzz target under AFL++ with sanitizers. Usage: tools/afl.sh TARGET SECONDS [FOLDER]
# TARGET: json yaml pickle zip safetensors script registry xyz sdf pdb cif poscar ipi. Only the readers are compiled, so it starts in
# seconds.
# Findings are FOLDER/out/default/crashes and hangs (FOLDER: build/afl/TARGET by default).
set -eu
target=$1 seconds=$2
source=$(cd "$(dirname "$0")/.." && pwd)
work=${3:-$source/build/afl/$target}
mkdir -p "$work/in"
main=fuzz_$target define=-DAIM_AFL=1 more=
case $target in
script)
    more="$source/src/model/script.c $source/src/model/script_walk.c $source/src/model/script_outputs.c $source/src/model/embedding.c"
    define=-DAIM_SOURCE_DIR="\"$source\""
    ;;
ipi)
    more="-I$source/apps $source/apps/ipi_client.c $source/apps/shortest.c"
    ;;
xyz | sdf | pdb | cif | poscar)
    main=fuzz_structure define=-DAIM_FUZZ_FORMAT="\"$target\""
    ;;
esac
AFL_USE_ASAN=1 AFL_USE_UBSAN=1 AFL_QUIET=1 afl-clang-fast -std=c17 -O1 -g -fsanitize=fuzzer "$define" -DAIMNET_BUILD=1 \
    -DAIM_REGISTRY_FILE="\"$source/data/registry.yaml\"" -I"$source/include" -I"$source/src" -o "$work/$main" \
    "$source/tests/fuzz/$main.c" "$source/tests/fuzz/guard.c" "$source"/src/base/*.c "$source"/src/data/*.c "$source"/src/io/*.c \
    "$source/src/model/yaml.c" "$source/src/fetch/registry.c" "$source/src/fetch/registry_data.S" $more -lyaml -lz -lpthread -lm
for seed in "$source/tests/fuzz/seeds/$main"/*; do
    [ "$(wc -c < "$seed")" -gt 16384 ] || cp "$seed" "$work/in/"
done
AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1 \
    afl-fuzz -V "$seconds" -m none -t 2000+ -i "$work/in" -o "$work/out" -- "$work/$main" > "$work/log" 2>&1 || { tail -20 "$work/log"; exit 1; }
grep -E 'execs_done|saved_crashes|saved_hangs|corpus_count' "$work/out/default/fuzzer_stats"
[ -z "$(ls "$work/out/default/crashes" 2> /dev/null)" ] && [ -z "$(ls "$work/out/default/hangs" 2> /dev/null)" ]
