# SPDX-License-Identifier: MIT
# The same bits for every batch size, number of threads and order of files.
cd "$MOLECULES" || exit 1
set -- water.xyz caffeine.xyz acetate.xyz ibuprofen.xyz ammonium.xyz water_16.xyz methane.xyz
run() { "$AIMNET" energy --json --forces --charges --dipole --terms "$@"; }
sum() { sort | cksum; }
all=$(run "$@" | sum)
[ "$(run --batch-atoms 1 "$@" | sum)" = "$all" ] || echo "one by one differs"
[ "$(run --batch-atoms 50 "$@" | sum)" = "$all" ] || echo "batches of 50 atoms differ"
[ "$(run --threads 1 "$@" | sum)" = "$all" ] || echo "one thread differs"
[ "$(run --threads 3 "$@" | sum)" = "$all" ] || echo "three threads differ"
[ "$(run methane.xyz water_16.xyz ibuprofen.xyz ammonium.xyz acetate.xyz caffeine.xyz water.xyz | sum)" = "$all" ] || echo "another order differs"
[ "$(for f in "$@"; do run "$f"; done | sum)" = "$all" ] || echo "separate processes differ"
